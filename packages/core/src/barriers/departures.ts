import { orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'

const underWay = new WeakMap<Backend, Map<string, Set<Promise<void>>>>()

/** Remembers that somebody is going out of a directory through this backend, until he has. */
export function noteDeparture(backend: Backend, directory: string, departure: Promise<void>): void {
  const known = underWay.get(backend) ?? new Map<string, Set<Promise<void>>>()
  underWay.set(backend, known)
  const leaving = known.get(directory) ?? new Set()
  known.set(directory, leaving)
  if (leaving.has(departure)) return
  leaving.add(departure)
  void departure.finally(() => {
    leaving.delete(departure)
    if (leaving.size === 0) known.delete(directory)
  })
}

/**
 * Resolves once all who were going out of a directory through this backend have gone: the store would still count them.
 * Requests that are sent one after the other may overtake each other, for they are sent on several connections.
 */
export async function departed(backend: Backend, directory: string, signal: AbortSignal | undefined): Promise<void> {
  const leaving = underWay.get(backend)?.get(directory)
  if (leaving !== undefined) await orAborted(Promise.all(leaving), signal)
}
