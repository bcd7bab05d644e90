import { InvalidArgumentError } from '../errors.ts'
import type { Fenced, Guard } from '../fencing/guard.ts'
import { checkFenced } from '../fencing/guard.ts'
import { refusedAsStale } from '../fencing/refusal.ts'
import type { FencingToken } from '../fencing/token.ts'
import { show } from '../names.ts'

/** A guard for resources that live in this process. */
export interface MemoryFence extends Guard {
  /**
   * Records the token and calls `write` at once, in one step of the event loop.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen; `write` is not called.
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
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
      if (typeof write !== 'function') {
        throw new InvalidArgumentError('write', `Expected \`write\` to be a function, got ${show(write)}.`)
      }
      advance(fenced)
      return write()
    },
  }
}
