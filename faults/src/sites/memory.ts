import type { SingleSite } from './site.ts'

const TTL_MS = 1_000

/** No server: the store is in the worker. */
export function memorySite(): SingleSite {
  const refuse = (): never => {
    throw new Error('A store in memory is only seen from inside its process.')
  }
  return {
    kind: 'memory',
    port: 0,
    ttlMs: TTL_MS,
    leaseMs: TTL_MS,
    claimMs: TTL_MS,
    place: () => ({ kind: 'memory' }),
    leftovers: refuse,
    waiters: refuse,
    lastWrite: refuse,
    wipe: refuse,
    restart: refuse,
    restartEmpty: refuse,
    [Symbol.asyncDispose]: async () => {},
  }
}
