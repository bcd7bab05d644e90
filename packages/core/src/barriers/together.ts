const underWay = new WeakMap<object, Map<string, Promise<unknown>>>()

/** Runs `work`, unless the same is under way in that scope already: then that one's outcome is its outcome as well. */
export function together<T>(scope: object, what: string, work: () => Promise<T>): Promise<T> {
  const known = underWay.get(scope) ?? new Map<string, Promise<unknown>>()
  underWay.set(scope, known)
  // Whoever names the same does the same.
  const before = known.get(what) as Promise<T> | undefined
  if (before !== undefined) return before
  const working = work().finally(() => known.delete(what))
  known.set(what, working)
  return working
}
