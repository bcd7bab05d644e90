import { describe, expect, it } from 'vitest'
import { orAborted } from '../../abort.ts'
import { UnavailableError } from '../../errors.ts'
import { FencingToken } from '../../fencing/token.ts'
import type { Fault } from './broken-leases.fixture.ts'
import { harnessOf, renamed, verdict, withGrants, withRequests } from './broken-leases.fixture.ts'
import type { LeaseHarness } from './harness.ts'
import { leaseConformance } from './leases.ts'

let strangers = 0

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'frees a resource for whoever says release',
    found: 'A release by somebody who does not hold is answered `lost` and frees nothing.',
    break: (_store, world) => ({
      release: async ({ request: { resource } }) =>
        world.release(resource, world.inspect(resource).holder?.requestId ?? '') ? 'released' : 'lost',
    }),
  },
  {
    fault: 'says of every release that it worked',
    found: 'A release after the lease lapsed is answered `lost` and does not free the successor.',
    break: store => ({ release: grant => store.release(grant).then(() => 'released') }),
  },
  {
    fault: 'gives the same token twice',
    found: 'Tokens strictly increase from grant to grant, over several clients.',
    break: store => withGrants(store, grant => ({ ...grant, token: new FencingToken(grant.token.value / 2n + 1n) })),
  },
  {
    fault: 'lets two hold at a time',
    found:
      'Of 8 contenders in 3 clients one holds at a time, 400 times, and every token is greater than the one before.',
    break: store =>
      withRequests(store, request =>
        renamed(request, { resource: `${request.resource}-${request.requestId.length % 2}` }),
      ),
  },
  {
    fault: 'lets a client think that its lease lasts as long as the store keeps it, and a little longer',
    found: 'Nobody is granted a resource before the deadline of a holder that fell silent, 20 times.',
    break: store =>
      withGrants(store, grant => ({
        ...grant,
        deadline: { remainingMs: () => grant.deadline.remainingMs() + 0.02 * grant.ttlMs },
      })),
  },
  {
    fault: 'makes a lease shorter when its request comes once more',
    found: 'A request that is sent again after its lease was made longer does not make it shorter.',
    break: store => ({
      tryGrant: async (request, signal) => {
        const outcome = await store.tryGrant(request, signal)
        if (outcome.kind === 'granted') await store.renew([{ grant: outcome.grant, ttlMs: request.ttlMs ?? 0 }])
        return outcome
      },
    }),
  },
  {
    fault: 'lets a client think so of a lease that came after waiting',
    found: 'A grant that came after waiting ends by its deadline before the next is granted.',
    break: store => ({
      grant: async (request, signal) => {
        const grant = await store.grant(request, signal)
        return { ...grant, deadline: { remainingMs: () => grant.deadline.remainingMs() + 0.02 * grant.ttlMs } }
      },
    }),
  },
  {
    fault: 'keeps an aborted request in the queue',
    found: 'A request that is aborted while it waits leaves the queue, and the next gets its turn.',
    break: store => ({ grant: (request, signal) => orAborted(store.grant(request), signal) }),
  },
  {
    fault: 'keeps what was granted to a request that is aborted at that moment',
    found: 'An abort while the request is on its way to a free resource leaves it free, 40 times.',
    break: store => ({
      grant: async (request, signal) => {
        const grant = await store.grant(request)
        await new Promise(resolve => setImmediate(resolve))
        signal?.throwIfAborted()
        return grant
      },
    }),
  },
  {
    fault: 'prolongs the lease of whoever asks',
    found: 'A renewal after the lease lapsed is answered `lost` and leaves the successor alone.',
    break: () => ({
      renew: async renewals =>
        renewals.map(({ grant, ttlMs }) => ({ kind: 'renewed' as const, deadline: grant.deadline, ttlMs })),
    }),
  },
  {
    fault: 'answers a batch of renewals in another order',
    found: 'A batch of renewals is answered one by one, in order, whatever became of each.',
    break: store => ({ renew: async renewals => [...(await store.renew(renewals))].reverse() }),
  },
  {
    fault: 'takes a request that is sent again for a new one',
    found: 'A request that is sent again while it holds is told the same grant again, and one release frees it.',
    break: store => ({
      tryGrant: request => store.tryGrant(renamed(request, { requestId: `${request.requestId}-${(strangers += 1)}` })),
    }),
  },
  {
    fault: 'does not tell upper from lower case',
    found: 'Names with braces, percent signs, slashes, dots, Unicode and 200 bytes are all different resources.',
    break: store => withRequests(store, request => renamed(request, { resource: request.resource.toLowerCase() })),
  },
  {
    fault: 'cuts long names',
    found: 'Names with braces, percent signs, slashes, dots, Unicode and 200 bytes are all different resources.',
    break: store => withRequests(store, request => renamed(request, { resource: request.resource.slice(0, 199) })),
  },
  {
    fault: 'never frees what a silent holder had',
    found: 'A resource whose holder fell silent is free after its TTL for one who only tries.',
    break: store => ({
      tryGrant: (request, signal) => store.tryGrant(renamed(request, { ttlMs: 86_400_000 }), signal),
    }),
  },
  {
    fault: 'lets one who only tries in before one who waited longer',
    found: 'Nobody who only tries gets in before one who waits.',
    break: (store, world) => ({
      tryGrant: async (request, signal) => {
        const { holder } = world.inspect(request.resource)
        if (holder !== undefined) world.release(request.resource, holder.requestId)
        return store.tryGrant(request, signal)
      },
    }),
  },
  {
    fault: 'sends every second waiter to the end of the queue again',
    found: '10 waiters in three clients are served first come, first served.',
    break: store => ({
      grant: async (request, signal) => {
        const isSecond = (strangers += 1) % 2 === 0
        const grant = await store.grant(request, signal)
        if (!isSecond) return grant
        await store.release(grant)
        return store.grant(request, signal)
      },
    }),
  },
  {
    fault: 'answers requests after it was closed',
    found: 'A closed backend rejects every request with `HF_CLOSED`, and closing it again does nothing.',
    break: (_store, world) => ({ inspect: async resource => world.inspect(resource) }),
  },
]

describe('leaseConformance', () => {
  for (const { fault, found, break: breaking } of FAULTS) {
    it(`finds a store that ${fault}`, async () => {
      expect(await verdict(breaking, found)).toBe('fails')
    })
  }

  it('finds a store that rejects those who wait as soon as it does not answer, and passes one that bears with it', async () => {
    const name = 'Who has a place in the queue waits on while the store does not answer, and is served once it does.'
    const link = new AbortController()
    const impatient: Fault = store => ({
      grant: (request, signal, queued) => orAborted(store.grant(request, signal, queued), link.signal),
    })
    const silence = {
      kind: 'supported' as const,
      run: async () => {
        link.abort(new UnavailableError('No answer.'))
        return async () => {}
      },
    }
    expect(await verdict(impatient, name, { ...harnessOf(impatient), silence })).toBe('fails')
    const patient: Fault = () => ({})
    expect(await verdict(patient, name, { ...harnessOf(patient), silence })).toBe('passes')
  })

  it('names each case once, in a sentence', () => {
    const names = leaseConformance(harnessOf(() => ({}))).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[A-Z0-9`].*\.$/)
  })

  it('tests every promise', () => {
    const promises = new Set(leaseConformance(harnessOf(() => ({}))).map(({ promise }) => promise))
    expect([...promises].sort()).toEqual(['L1', 'L2', 'L3', 'L4', 'L5', 'L6', 'L7'])
  })

  it('leaves out what a world cannot express', () => {
    const harness = harnessOf(() => ({}))
    const supported: LeaseHarness = {
      ...harness,
      loseData: { kind: 'supported', run: async () => {} },
      silence: { kind: 'supported', run: async () => async () => {} },
      requests: { kind: 'supported', run: () => 0 },
    }
    expect(leaseConformance(harness).length).toBeLessThan(leaseConformance(supported).length)
    expect(leaseConformance({ ...harness, ordering: 'none' }).length).toBeLessThan(leaseConformance(harness).length)
    expect(leaseConformance({ ...harness, slots: false }).length).toBeLessThan(leaseConformance(harness).length)
    const exclusive = leaseConformance({ ...harness, modes: 'exclusive' }).map(({ name }) => name)
    expect(exclusive.length).toBeLessThan(leaseConformance(harness).length)
    expect(exclusive.some(name => name.includes('HF_UNSUPPORTED'))).toBe(true)
  })
})
