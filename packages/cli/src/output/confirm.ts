import { createInterface } from 'node:readline/promises'
import { CommandError, usageError } from '../exit-codes.ts'

/**
 * Asks, unless it was answered by `--yes`.
 *
 * @throws {CommandError} `usage` where nobody can be asked; `unconfirmed` when the answer is not yes
 */
export async function confirm(
  question: string,
  { isYes, isJson, signal }: { readonly isYes: boolean; readonly isJson: boolean; readonly signal: AbortSignal },
): Promise<void> {
  if (isYes) return
  if (isJson || !process.stdin.isTTY || !process.stderr.isTTY) {
    throw usageError('This changes the configuration, and nobody is there to ask: give --yes. Nothing was written.')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal })
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  throw new CommandError('unconfirmed', 'Nothing was written.')
}
