import type { Backend } from '../../backend.ts'
import { MemoryWorld, memoryBackend } from '../../memory/index.ts'
import type { Grant, LeaseRequest, LeaseStore } from '../../ports/leases.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import type { LeaseHarness } from './harness.ts'
import { leaseConformance } from './leases.ts'

/** A promise of the store in memory, broken. */
export type Fault = (store: LeaseStore, world: MemoryWorld) => Partial<LeaseStore>

/** The same wish, in part another. */
export function renamed(request: LeaseRequest, change: Partial<LeaseRequest>): LeaseRequest {
  return { ...request, ...change }
}

/** Changes every grant that comes out of a store. */
export function withGrants(store: LeaseStore, change: (grant: Grant) => Grant): Partial<LeaseStore> {
  return {
    grant: async (request, signal) => change(await store.grant(request, signal)),
    tryGrant: async (request, signal) => {
      const outcome = await store.tryGrant(request, signal)
      return outcome.kind === 'granted' ? { kind: 'granted', grant: change(outcome.grant) } : outcome
    },
  }
}

/** Changes every request that goes into a store. */
export function withRequests(store: LeaseStore, change: (request: LeaseRequest) => LeaseRequest): Partial<LeaseStore> {
  return {
    grant: (request, signal) => store.grant(change(request), signal),
    tryGrant: (request, signal) => store.tryGrant(change(request), signal),
    release: grant => store.release({ ...grant, request: change(grant.request) }),
    renew: renewals =>
      store.renew(renewals.map(({ grant, ttlMs }) => ({ grant: { ...grant, request: change(grant.request) }, ttlMs }))),
    inspect: (resource, kind) => store.inspect(change({ resource } as LeaseRequest).resource, kind),
  }
}

/** A world whose stores are all broken in one way. */
export function harnessOf(fault: Fault): LeaseHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  let names = 0
  return {
    openBackend: async () => broken(memoryBackend({ world }), store => fault(store, world)),
    resource: () => `resource-${(names += 1)}`,
    advance: ms => clock.advance(ms),
    stall: ms => clock.stall(ms),
    ttlMs: 5_000,
    slackMs: 0,
    ordering: 'fifo',
    modes: 'all',
    slots: true,
    leftovers: async resource => world.resources().filter(name => name === resource),
    loseData: { kind: 'unsupported', why: 'there is one world' },
    silence: { kind: 'unsupported', why: 'there is no link' },
    requests: { kind: 'unsupported', why: 'there is no wire' },
  }
}

function broken(backend: Backend, fault: (store: LeaseStore) => Partial<LeaseStore>): Backend {
  const changed = fault(backend.leases)
  const leases = new Proxy(backend.leases, {
    get(store, name) {
      const value: unknown = Reflect.get({ ...changed }, name) ?? Reflect.get(store, name)
      return typeof value === 'function' ? (value.bind(store) as unknown) : value
    },
  })
  return { ...backend, leases }
}

/** Whether a case finds the fault. */
export async function verdict(fault: Fault, name: string, harness = harnessOf(fault)): Promise<'passes' | 'fails'> {
  const found = leaseConformance(harness).find(one => one.name === name)
  if (found === undefined) throw new Error(`There is no case "${name}".`)
  return found.run().then(
    () => 'passes',
    () => 'fails',
  )
}
