import type { Clock } from '@holdfast/core'
import { encodeCandidate, encodeRelease } from '../release/codec.ts'
import type { StoredCandidate } from '../release/release.ts'
import { CANDIDATE, HEAD } from '../release/scope.ts'
import type { BookPage, Entry, ReleaseBook } from './release-book.ts'
import { WITHDRAWN, withWithdrawal } from './withdrawals.ts'

/** What became of a change of a candidate. */
export type CandidateOutcome =
  | { readonly kind: 'written'; readonly version: string; readonly committedAtMs: number }
  /** Somebody else has moved it, ended it, or changed what it stands on. */
  | { readonly kind: 'conflict' }

/** Makes a candidate the head. */
export async function promoteCandidate(
  book: ReleaseBook,
  { head }: Pick<BookPage, 'head'>,
  candidate: Entry<StoredCandidate>,
): Promise<CandidateOutcome> {
  const { release, content } = candidate.value
  const outcome = written(
    await book.commit(
      [
        {
          kind: 'put',
          id: HEAD,
          value: encodeRelease(book.scope, { release, content }),
          expect: head === undefined ? 'absent' : { version: head.version },
        },
        { kind: 'delete', id: CANDIDATE, expect: { version: candidate.version } },
      ],
      HEAD,
    ),
  )
  if (outcome.kind === 'written') book.sawHead(release.number)
  return outcome
}

/** Takes a candidate back, and remembers why. */
export async function withdrawCandidate(
  book: ReleaseBook,
  clock: Clock,
  {
    candidate,
    withdrawals,
    author,
    reason,
  }: Pick<BookPage, 'withdrawals'> & {
    readonly candidate: Entry<StoredCandidate>
    readonly author: string
    readonly reason: string
  },
): Promise<CandidateOutcome> {
  const { number, hash } = candidate.value.release
  const withdrawal = { release: { number, hash }, reason, author, atMs: Math.round(clock.wallMs()) }
  return written(
    await book.commit(
      [
        {
          kind: 'put',
          id: WITHDRAWN,
          value: withWithdrawal(withdrawals?.value ?? [], withdrawal),
          expect: withdrawals === undefined ? 'absent' : { version: withdrawals.version },
        },
        { kind: 'delete', id: CANDIDATE, expect: { version: candidate.version } },
      ],
      WITHDRAWN,
    ),
  )
}

/** Puts a candidate at a step: the same one again makes it ours, since who drove it so far finds another version. */
export async function moveCandidate(
  book: ReleaseBook,
  { version, value }: Entry<StoredCandidate>,
  step: number,
): Promise<CandidateOutcome> {
  const moved = { ...value, step, rule: value.steps[step] ?? value.rule }
  return written(
    await book.commit(
      [{ kind: 'put', id: CANDIDATE, value: encodeCandidate(book.scope, moved), expect: { version } }],
      CANDIDATE,
    ),
  )
}

/** The candidate, meant for those whom a step is for. */
export function atStep(candidate: StoredCandidate, step: number): StoredCandidate {
  return { ...candidate, step, rule: candidate.steps[step] ?? candidate.rule }
}

function written(outcome: Awaited<ReturnType<ReleaseBook['commit']>>): CandidateOutcome {
  if (outcome.kind === 'conflict') return { kind: 'conflict' }
  return { kind: 'written', version: outcome.revision.commit, committedAtMs: outcome.committedAtMs }
}
