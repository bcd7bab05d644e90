import type { Backend, Commit, CommitOutcome, ReadRequest, RecordStore } from '@holdfast/core'

/** A backend whose record store counts what is asked of it, and can be told to fail, for tests. */
export class StoreSpy {
  readonly backend: Backend
  readonly reads: ReadRequest[] = []
  readonly commits: Commit[] = []
  /** Asked before, or instead of, each commit. */
  onCommit: ((commit: Commit, next: () => Promise<CommitOutcome>) => Promise<CommitOutcome>) | undefined

  constructor(backend: Backend) {
    const { records } = backend
    const spied: RecordStore = {
      guarantee: records.guarantee,
      newId: () => records.newId(),
      read: (request, signal) => {
        this.reads.push(request)
        return records.read(request, signal)
      },
      commit: (commit, signal) => {
        this.commits.push(commit)
        const next = (): Promise<CommitOutcome> => records.commit(commit, signal)
        return this.onCommit?.(commit, next) ?? next()
      },
      join: (request, signal) => records.join(request, signal),
      beat: (request, value) => records.beat(request, value),
      leave: request => records.leave(request),
      listen: (directory, listener) => records.listen(directory, listener),
    }
    this.backend = { ...backend, records: spied }
  }

  /** Forgets what was counted. */
  reset(): void {
    this.reads.length = 0
    this.commits.length = 0
  }
}
