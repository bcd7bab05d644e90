import type { Backend } from '../backend.ts'

const underWay = new WeakMap<Backend, Map<string, Promise<unknown>>>()

/** Runs `work`, unless the same is under way through this backend already: then that one's outcome is its outcome as well. */
export function together<T>(backend: Backend, what: string, work: () => Promise<T>): Promise<T> {
  const known = underWay.get(backend) ?? new Map<string, Promise<unknown>>()
  underWay.set(backend, known)
  // Whoever names the same does the same.
  const before = known.get(what) as Promise<T> | undefined
  if (before !== undefined) return before
  const working = work().finally(() => known.delete(what))
  known.set(what, working)
  return working
}
