import type { Backend, Random, RecordStore } from '@holdfast/core'

const DROPPED = 0.3
const DOUBLED = 0.2
const DELAY_MS_MAX = 50

/** The backend, with its notices of changes dropped, doubled and late: what a watch makes of them must not depend on them. */
export function withFaultyNotices(backend: Backend, random: Random): Backend {
  const { records } = backend
  const faulty: RecordStore = {
    get guarantee() {
      return records.guarantee
    },
    newId: () => records.newId(),
    read: (request, signal) => records.read(request, signal),
    commit: (commit, signal) => records.commit(commit, signal),
    join: (request, signal) => records.join(request, signal),
    beat: (request, value) => records.beat(request, value),
    leave: request => records.leave(request),
    listen: (directory, listener) => {
      const pass = (commit: string | undefined): void => {
        backend.clock.setTimer(() => listener.changed(commit), random.next() * DELAY_MS_MAX)
      }
      return records.listen(directory, {
        live: () => listener.live(),
        down: cause => listener.down(cause),
        changed: commit => {
          if (random.next() < DROPPED) return
          pass(commit)
          if (random.next() < DOUBLED) pass(commit)
        },
      })
    },
  }
  return new Proxy(backend, {
    get: (target, key) => (key === 'records' ? faulty : Reflect.get(target, key)),
  })
}
