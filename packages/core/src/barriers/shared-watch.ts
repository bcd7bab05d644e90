import type { Backend } from '../backend.ts'
import type { DirectoryWatch, WatchOptions } from '../records/watch.ts'
import { watchDirectory } from '../records/watch.ts'

/** What is watched. */
export interface SharedDirectory extends Pick<WatchOptions, 'ids' | 'ephemerals'> {
  readonly directory: string
}

/** One's share in a watch. */
export interface WatchShare {
  readonly watch: DirectoryWatch
  /** Whether nobody had it before: all that it ever read was read since. */
  readonly isNew: boolean
  /** To be called once. The last one closes the watch. */
  readonly leave: () => void
}

interface Shared {
  readonly watch: DirectoryWatch
  users: number
}

// Somebody waits, so a lost notice must not cost him half a minute.
const RECONCILE_MS = 5_000

const watches = new WeakMap<Backend, Map<string, Shared>>()

/** A watch that all share who watch the same through one backend: what changes is then read once, however many wait for it. */
export function shareWatch(backend: Backend, { directory, ids, ephemerals = false }: SharedDirectory): WatchShare {
  const known = watches.get(backend) ?? new Map<string, Shared>()
  watches.set(backend, known)
  const key = JSON.stringify([directory, ephemerals, ids])
  const before = known.get(key)
  const shared = before ?? { watch: watchDirectory(backend, directory, optionsOf(ids, ephemerals)), users: 0 }
  known.set(key, shared)
  shared.users += 1
  return {
    watch: shared.watch,
    isNew: before === undefined,
    leave: () => {
      shared.users -= 1
      if (shared.users > 0) return
      known.delete(key)
      shared.watch.close()
    },
  }
}

function optionsOf(ids: readonly string[] | undefined, ephemerals: boolean): WatchOptions {
  return { ephemerals, reconcileMs: RECONCILE_MS, ...(ids === undefined ? {} : { ids }) }
}
