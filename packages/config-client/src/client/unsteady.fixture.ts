import type { Backend, RecordStore } from '@holdfast/core'
import { UnavailableError } from '@holdfast/core'

/** A backend that a test can make fail. */
export interface Unsteady {
  readonly backend: Backend
  /** Nothing is answered any more. */
  isDown: boolean
  /** Nobody is told of changes. */
  isDeaf: boolean
}

export function unsteady(steady: Backend): Unsteady {
  const store = steady.records
  const answer = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (faults.isDown) throw new UnavailableError('The store is down.')
    return await ask()
  }
  const records: RecordStore = {
    guarantee: store.guarantee,
    newId: () => store.newId(),
    read: (request, signal) => answer(() => store.read(request, signal)),
    commit: (commit, signal) => answer(() => store.commit(commit, signal)),
    join: (request, signal) => answer(() => store.join(request, signal)),
    beat: (request, value) => answer(() => store.beat(request, value)),
    leave: request => answer(() => store.leave(request)),
    listen: (directory, listener) =>
      store.listen(directory, {
        changed: commit => (faults.isDeaf ? undefined : listener.changed(commit)),
        live: () => listener.live(),
        down: cause => listener.down(cause),
      }),
  }
  const faults: Unsteady = { backend: { ...steady, records }, isDown: false, isDeaf: false }
  return faults
}
