import type { Revision } from '../ports/records.ts'
import { COMMITS_REMEMBERED } from '../records/revision.ts'

const SENT_MAX = 1_000

/** What state of its directory each of the last commits of this client was sent to follow: the directory forgets sooner. */
export class SentCommits {
  readonly #sent = new Map<string, Revision>()

  note(commitId: string, before: Revision): void {
    this.#sent.delete(commitId)
    this.#sent.set(commitId, before)
    const [oldest] = this.#sent.keys()
    if (this.#sent.size > SENT_MAX && oldest !== undefined) this.#sent.delete(oldest)
  }

  /** What was noted of it; undefined when nothing is open. */
  of(commitId: string): Revision | undefined {
    return this.#sent.get(commitId)
  }

  /** It did not happen. */
  forget(commitId: string): void {
    this.#sent.delete(commitId)
  }

  /** Whether it may have happened so long ago that a directory at this revision, which does not know it, has forgotten it. */
  isForgotten(commitId: string, { history, number }: Revision): boolean {
    const before = this.#sent.get(commitId)
    return before?.history === history && number - before.number > COMMITS_REMEMBERED
  }
}
