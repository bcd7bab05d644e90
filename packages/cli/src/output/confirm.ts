import { createInterface } from 'node:readline/promises'
import { CommandError, usageError } from '../exit-codes.ts'

/** Where a question is asked: `process`, or a test's. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** What decides whether there is somebody to ask. */
export interface ConfirmOptions {
  /** Whether it was answered by `--yes`. */
  readonly isYes: boolean
  readonly isJson: boolean
  readonly signal: AbortSignal
  /** @default process */
  readonly terminal?: Terminal
}

/**
 * Asks, unless it was answered before.
 *
 * @throws {CommandError} `usage` where nobody can be asked; `unconfirmed` when the answer is not yes
 */
export async function confirm(question: string, options: ConfirmOptions): Promise<void> {
  const { isYes, isJson, signal, terminal = process } = options
  if (isYes) return
  if (isJson || terminal.stdin.isTTY !== true || terminal.stderr.isTTY !== true) {
    throw usageError('This changes the configuration, and nobody is there to ask: give --yes. Nothing was written.')
  }
  if (await isAgreed(question, terminal, signal)) return
  throw new CommandError('unconfirmed', 'Nothing was written.')
}

async function isAgreed(question: string, { stdin, stderr }: Terminal, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr })
  // The end of the input is an answer as well, and an interrupt of the terminal reaches the interface first.
  const ended = new Promise<string>(resolve => lines.once('close', () => resolve('')).once('SIGINT', () => resolve('')))
  try {
    return /^y(es)?$/i.test((await Promise.race([lines.question(`${question} [y/N] `, { signal }), ended])).trim())
  } catch (error) {
    if (signal.aborted) return false
    throw error
  } finally {
    lines.close()
  }
}
