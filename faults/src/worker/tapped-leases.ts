import type { Backend, LeaseStore } from '@holdfast/core'
import { monotonicMs } from '../monotonic.ts'

/** The same backend, whose user hears when each proof of a lease was sent that the store acknowledged. */
export function tappedBackend(backend: Backend, onProven: (requestId: string, sentAtMs: number) => void): Backend {
  return { ...backend, leases: tappedLeases(backend.leases, onProven) }
}

// The moment is taken before the port is called, so it is never later than the sending.
function tappedLeases(store: LeaseStore, onProven: (requestId: string, sentAtMs: number) => void): LeaseStore {
  return {
    renewal: store.renewal,
    get guarantee() {
      return store.guarantee
    },
    modes: store.modes,
    newRequestId: () => store.newRequestId(),
    tryGrant: async (request, signal) => {
      const sentAtMs = monotonicMs()
      const outcome = await store.tryGrant(request, signal)
      if (outcome.kind === 'granted') onProven(request.requestId, sentAtMs)
      return outcome
    },
    grant: async (request, signal, queued) => {
      const grant = await store.grant(request, signal, queued)
      // It may have come by message: the first renewal is the first proof that we see being sent.
      onProven(request.requestId, monotonicMs())
      return grant
    },
    renew: async renewals => {
      const sentAtMs = monotonicMs()
      const outcomes = await store.renew(renewals)
      for (const [index, outcome] of outcomes.entries()) {
        const requestId = renewals[index]?.grant.request.requestId
        if (outcome.kind === 'renewed' && requestId !== undefined) onProven(requestId, sentAtMs)
      }
      return outcomes
    },
    release: grant => store.release(grant),
    downgrade: (from, to) => store.downgrade(from, to),
    inspect: (resource, kind) => store.inspect(resource, kind),
    onLost: listener => store.onLost(listener),
  }
}
