import type { Account } from './account.ts'
import type { Findings } from './audit.ts'

/** How the run ends: the code of the process, and what is said last. */
export interface Verdict {
  readonly code: 0 | 1 | 3
  readonly sentences: readonly string[]
}

/** Judges a finished sale. A run without a stale write has shown nothing, however right the stock is. */
export function verdict(account: Account, findings: Findings, { isFenced }: { readonly isFenced: boolean }): Verdict {
  if (findings.problems.length > 0) {
    return { code: 1, sentences: ['The stock is WRONG.', ...findings.problems, ...(isFenced ? [] : [WHY_UNSAFE])] }
  }
  const attempts = account.refused + account.overwrites
  if (attempts === 0) {
    return {
      code: 3,
      sentences: ['The stock is right, but no stale write was tried: this run has shown nothing. Run it again.'],
    }
  }
  return {
    code: 0,
    sentences: [
      `The stock is right: ${findings.sold} sold, ${findings.left} left, nothing sold twice.`,
      'The worker that went on after its lease had ended was refused by the fence: its token was older than one already seen.',
    ],
  }
}

const WHY_UNSAFE =
  'The lock did what a lock can: it went on to others when its holder stopped. The holder could not know, and nobody looked at ' +
  'its token when it wrote. Run it without --unsafe: the same story, with a fence in front of the stock.'
