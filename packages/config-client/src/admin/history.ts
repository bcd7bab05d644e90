import type { RecordChange } from '@holdfast/core'
import { InvalidArgumentError, show } from '@holdfast/core'
import type { Release, StoredRelease } from '../release/release.ts'
import { releaseId, requestRecordId } from '../release/scope.ts'
import type { HistoryEntry } from './admin.ts'
import type { BookPage, ReleaseBook } from './release-book.ts'

const AHEAD = 16
const BEHIND = 16

/** The releases of a scope that are kept, and those that are let go. */
export class History {
  readonly #book: ReleaseBook
  readonly #keptMax: number
  /** The requests of releases that go next, by the number of the release. */
  readonly #goingNext = new Map<number, string>()
  /** The same of releases that this publisher published, whose turn is not yet. In order. */
  readonly #ours = new Map<number, string>()
  #readTo = 0
  /** Up to where it was let go when this publisher last published. */
  #wentTo: number | undefined

  constructor(book: ReleaseBook, keptMax: number) {
    this.#book = book
    this.#keptMax = keptMax
  }

  /** What goes with the publish of release `number`: most often one release, and its request. Bounded. */
  async lettingGo(number: number, signal?: AbortSignal): Promise<readonly RecordChange[]> {
    const last = number - this.#keptMax
    if (last < 1) return []
    if (last > this.#readTo && !this.#takeOurs(last)) await this.#readFrom(last, number, signal)
    // What is so far back went with the publishes of others.
    for (const old of [...this.#goingNext.keys()]) if (old < last - BEHIND) this.#goingNext.delete(old)
    return [...this.#goingNext].flatMap(([old, requestId]) =>
      old > last
        ? []
        : [
            { kind: 'delete', id: releaseId(old) },
            { kind: 'delete', id: requestRecordId(requestId) },
          ],
    )
  }

  /** Release `number` was published, and let go what `lettingGo` said. Its own turn comes by and by. */
  wentOn({ number, requestId }: Release): void {
    this.#wentTo = number - this.#keptMax
    for (const old of [...this.#goingNext.keys()]) if (old <= this.#wentTo) this.#goingNext.delete(old)
    this.#ours.set(number, requestId)
    for (const old of this.#ours.keys()) {
      if (old > this.#wentTo) break
      this.#ours.delete(old)
    }
  }

  async list(limit: number): Promise<readonly HistoryEntry[]> {
    const [page, stored] = await Promise.all([this.#book.read(), this.#book.allReleases()])
    const newestFirst = [...stored.values()].sort((a, b) => b.release.number - a.release.number)
    return newestFirst.slice(0, limit).map(release => entryOf(release, page))
  }

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when there is no such release (any more) */
  async find(number: number, signal?: AbortSignal): Promise<StoredRelease> {
    const wanted = number < 0 ? countedBack(number, await this.#book.read({ signal })) : number
    const found = wanted < 1 ? undefined : (await this.#book.releases([wanted], signal)).get(wanted)
    if (found !== undefined) return found
    throw new InvalidArgumentError(
      'number',
      `There is no release ${number} of this scope: it was never published, or the history does not keep it any more.`,
    )
  }

  // Of a history that is written by one publisher nothing has to be read to let it go.
  #takeOurs(last: number): boolean {
    if (this.#wentTo === undefined) return false
    for (let old = Math.max(1, this.#wentTo + 1); old <= last; old += 1) {
      const requestId = this.#ours.get(old)
      if (requestId === undefined) return false
      this.#goingNext.set(old, requestId)
    }
    return true
  }

  // Also a few before it, which withdrawn releases have left over: they take a number, and let nothing go.
  async #readFrom(last: number, number: number, signal: AbortSignal | undefined): Promise<void> {
    const from = Math.max(1, last - BEHIND)
    const to = Math.min(last + AHEAD, number - 1)
    const numbers = Array.from({ length: to - from + 1 }, (_, at) => from + at)
    const stored = await this.#book.releases(numbers, signal)
    for (const [old, { release }] of stored) this.#goingNext.set(old, release.requestId)
    this.#readTo = to
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkReleaseNumber(argument: string, value: unknown): asserts value is number {
  if (Number.isSafeInteger(value) && value !== 0) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be the number of a release, or -1 for the head and -2, -3, … for those before it, got ${show(value)}.`,
  )
}

function countedBack(number: number, { head, withdrawals }: BookPage): number {
  const withdrawn = new Set(withdrawals?.value.map(({ release }) => release.number))
  let at = head?.value.release.number ?? 0
  for (let back = -1; back > number && at > 0; back -= 1) {
    do at -= 1
    while (withdrawn.has(at))
  }
  return at
}

function entryOf({ release }: StoredRelease, page: BookPage): HistoryEntry {
  const withdrawal = page.withdrawals?.value.find(other => other.release.number === release.number)
  if (withdrawal !== undefined) return { ...release, standing: 'withdrawn', reason: withdrawal.reason }
  return { ...release, standing: standingOf(release.number, page), reason: undefined }
}

function standingOf(number: number, { head, candidate }: BookPage): 'head' | 'candidate' | 'past' {
  if (head?.value.release.number === number) return 'head'
  return candidate?.value.release.number === number ? 'candidate' : 'past'
}
