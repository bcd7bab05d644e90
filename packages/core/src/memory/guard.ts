import type { Fenced, Guard } from '../fencing/guard.ts'
import { checkFenced } from '../fencing/guard.ts'
import { refusedAsStale } from '../fencing/refusal.ts'
import type { FencingToken } from '../fencing/token.ts'

/** A guard for resources that live in this process. */
export interface MemoryFence extends Guard {
  /**
   * Records the token and calls `write` at once, in one step of the event loop.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen; `write` is not called.
   */
  run<T>(fenced: Fenced, write: () => T): T
}

/** A guard that keeps the newest token of each resource in memory, for as long as it lives itself. */
export function memoryFence(): MemoryFence {
  const newest = new Map<string, FencingToken>()
  const advance = (fenced: Fenced): void => {
    const { resource, token } = checkFenced(fenced)
    const seen = newest.get(resource)
    if (seen !== undefined && token.value < seen.value) throw refusedAsStale('memory', { resource, token }, seen)
    newest.set(resource, token)
  }
  return {
    raise: async fenced => advance(fenced),
    run: (fenced, write) => {
      advance(fenced)
      return write()
    },
  }
}
