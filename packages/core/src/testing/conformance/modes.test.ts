import { describe, expect, it } from 'vitest'
import { orAborted } from '../../abort.ts'
import { UnsupportedError } from '../../errors.ts'
import { FencingToken } from '../../fencing/token.ts'
import type { Grant, LeaseKind, LeaseMode, LeaseRequest, LeaseStore } from '../../ports/leases.ts'
import type { Fault } from './broken-leases.fixture.ts'
import { harnessOf, renamed, verdict, withGrants, withRequests } from './broken-leases.fixture.ts'

const DAY_MS = 86_400_000

let strangers = 0

function isKind(request: LeaseRequest, kind: LeaseMode['kind']): boolean {
  return request.mode?.kind === kind
}

/** Changes the requests of one kind of mode. */
function withWishes(
  store: LeaseStore,
  kind: LeaseMode['kind'],
  change: (request: LeaseRequest) => Partial<LeaseRequest>,
): Partial<LeaseStore> {
  return withRequests(store, request => (isKind(request, kind) ? renamed(request, change(request)) : request))
}

/** Grants at once to one who only tries, although others wait, where `mayEnter` says so. */
function overtaking(store: LeaseStore, kind: LeaseKind, mayEnter: (request: LeaseRequest) => boolean): Fault {
  return () => ({
    tryGrant: async (request, signal) => {
      const { waiters } = await store.inspect(request.resource, kind)
      const isAside = waiters.length > 0 && mayEnter(request)
      return await store.tryGrant(
        isAside ? renamed(request, { resource: `${request.resource}-aside` }) : request,
        signal,
      )
    },
  })
}

async function grantOf(store: LeaseStore, request: LeaseRequest): Promise<Grant | undefined> {
  const outcome = await store.tryGrant(request)
  return outcome.kind === 'granted' ? outcome.grant : undefined
}

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'takes every lock of a name for one',
    found: 'Who holds a name alone, its readers and writers, and its permits have nothing to do with each other.',
    break: store => withRequests(store, request => renamed(request, { mode: undefined })),
  },
  {
    fault: 'shows who waits for one lock of a name among those of another',
    found:
      '`inspect` shows each lock of a name by itself: its holders with mode, slot and token, and its waiters with mode.',
    break: store => ({ inspect: resource => store.inspect(resource, 'read-write') }),
  },
  {
    fault: 'lets readers in beside a writer',
    found: 'A writer holds alone: neither a reader nor another writer is granted beside it.',
    break: store => withWishes(store, 'read', ({ resource }) => ({ resource: `${resource}-read` })),
  },
  {
    fault: 'lets one reader in at a time',
    found: 'Readers hold one resource together, whoever their clients are, and keep writers out.',
    break: store => withWishes(store, 'read', () => ({ mode: { kind: 'write' } })),
  },
  {
    fault: 'hands over to one waiting reader at a time',
    found:
      'Readers next to each other are granted together when the writer before them releases; a writer and who is behind it wait.',
    break: store => ({
      grant: (request, signal) =>
        store.grant(isKind(request, 'read') ? renamed(request, { mode: { kind: 'write' } }) : request, signal),
    }),
  },
  {
    fault: 'lets readers overtake a waiting writer',
    found: 'A reader that comes after a waiting writer waits behind it, whether it tries or waits.',
    break: (store, world) => overtaking(store, 'read-write', request => isKind(request, 'read'))(store, world),
  },
  {
    fault: 'frees all readers when one releases',
    found: "A reader's release and renewal touch its own grant: the others hold on, and a forged one holds nothing.",
    break: (store, world) => ({
      release: async grant => {
        const { holders } = world.readWrite.inspect(grant.request.resource)
        const outcome = await store.release(grant)
        for (const { requestId } of holders) world.readWrite.release(grant.request.resource, requestId)
        return outcome
      },
    }),
  },
  {
    fault: 'never frees what a silent reader had',
    found: 'A writer waits for all readers: for one that releases and for one that falls silent, whichever is last.',
    break: store => ({
      tryGrant: (request, signal) =>
        store.tryGrant(isKind(request, 'read') ? renamed(request, { ttlMs: DAY_MS }) : request, signal),
    }),
  },
  {
    fault: 'keeps an aborted writer in the queue',
    found: 'A waiting writer that gives up, by abort or by closing its client, lets in the readers behind it at once.',
    break: store => ({ grant: (request, signal) => orAborted(store.grant(request), signal) }),
  },
  {
    fault: 'gives each reader a token of its own',
    found:
      "Readers have the token of the writer before them, all the same, and each writer's is greater than the last.",
    break: store =>
      withGrants(store, grant =>
        isKind(grant.request, 'read') ? { ...grant, token: new FencingToken(BigInt((strangers += 1))) } : grant,
      ),
  },
  {
    fault: 'gives out one permit too many',
    found: 'There are never more permits out than the limit, over several clients, and each release frees one.',
    break: store =>
      withRequests(store, request =>
        request.mode?.kind === 'permit'
          ? renamed(request, { mode: { kind: 'permit', limit: request.mode.limit + 1 } })
          : request,
      ),
  },
  {
    fault: 'gives out one permit less when many ask at once',
    found: '50 permits are all given out, asked for at once, and the next is refused.',
    break: store => ({
      grant: (request, signal) =>
        store.grant(
          request.mode?.kind === 'permit' ? renamed(request, { mode: { kind: 'permit', limit: 49 } }) : request,
          signal,
        ),
    }),
  },
  {
    fault: 'gives two permits one slot',
    found: 'Of 8 contenders in 3 clients 3 at most have a permit, and no two one slot, 200 times.',
    break: store => withGrants(store, grant => (grant.slot === undefined ? grant : { ...grant, slot: 0 })),
  },
  {
    fault: 'gives a permit the next slot, not the lowest that is free',
    found: 'A permit has the lowest slot that is free, when it is granted at once and when it waited.',
    break: store => withGrants(store, grant => ({ ...grant, slot: (strangers += 1) })),
  },
  {
    fault: 'takes a permit that is asked for again for another one',
    found: 'A permit that is asked for again is the same one, with its token and slot, and one release frees it.',
    break: store => ({
      tryGrant: request => store.tryGrant(renamed(request, { requestId: `${request.requestId}-${(strangers += 1)}` })),
    }),
  },
  {
    fault: 'never frees the permit of a silent holder',
    found: 'A permit whose holder fell silent is free after its own deadline, with its slot, and the others stay.',
    break: store => ({ tryGrant: (request, signal) => store.tryGrant(renamed(request, { ttlMs: DAY_MS }), signal) }),
  },
  {
    fault: 'lets one with a larger limit overtake one who waits with a smaller one',
    found: 'Where limits differ each goes by its own, and the first in the queue holds up those behind it.',
    break: (store, world) => overtaking(store, 'permits', request => isKind(request, 'permit'))(store, world),
  },
  {
    fault: 'makes a writer a reader by releasing and asking again',
    found: 'A writer becomes a reader with its token, and no writer gets in between, whether it waits or tries.',
    break: store => ({
      downgrade: async (from, to) => {
        await store.release(from)
        return await grantOf(store, to)
      },
    }),
  },
  {
    fault: 'leaves the writer in place when it becomes a reader',
    found: 'After a downgrade the old grant can be neither renewed nor released, and the new one can.',
    break: () => ({ downgrade: async (from, to) => ({ ...from, request: to }) }),
  },
  {
    fault: 'makes a reader of a writer that is over',
    found:
      'A grant that is not held any more cannot be downgraded: the answer is undefined, and the successor is left alone.',
    break: store => ({
      downgrade: async (from, to) => (await store.downgrade(from, to)) ?? (await grantOf(store, to)),
    }),
  },
  {
    fault: 'takes a downgrade that is sent again for a new one',
    found: 'A downgrade that is sent again is told the same grant, and one release ends it.',
    break: store => {
      const done = new Set<string>()
      return {
        downgrade: async (from, to) => {
          const isRepeated = done.has(to.requestId)
          done.add(to.requestId)
          return isRepeated ? undefined : await store.downgrade(from, to)
        },
      }
    },
  },
  {
    fault: 'makes a lease of a mode shorter when its request comes once more',
    found:
      'A reader, a writer or a permit that is asked for again after its lease was made longer does not get a shorter one.',
    break: store => ({
      tryGrant: async (request, signal) => {
        const outcome = await store.tryGrant(request, signal)
        if (outcome.kind === 'granted') await store.renew([{ grant: outcome.grant, ttlMs: request.ttlMs ?? 0 }])
        return outcome
      },
    }),
  },
  {
    fault: 'answers a downgrade that is sent again with the time of the first',
    found: 'A downgrade that is sent again has all of its time from then on, for the store as for the one who asks.',
    break: store => {
      const done = new Map<string, Grant | undefined>()
      return {
        downgrade: async (from, to) => {
          if (!done.has(to.requestId)) done.set(to.requestId, await store.downgrade(from, to))
          const first = done.get(to.requestId)
          return first === undefined ? undefined : { ...first, deadline: { remainingMs: () => to.ttlMs ?? 0 } }
        },
      }
    },
  },
]

describe('leaseConformance of modes', () => {
  for (const { fault, found, break: breaking } of FAULTS) {
    it(`finds a store that ${fault}`, async () => {
      expect(await verdict(breaking, found)).toBe('fails')
    })
  }

  it('passes the store in memory on each of those', async () => {
    const names = [...new Set(FAULTS.map(({ found }) => found))]
    const verdicts = await Promise.all(names.map(name => verdict(() => ({}), name)))
    expect(new Set(verdicts)).toEqual(new Set(['passes']))
  })

  it('finds a store that says to have exclusive leases only and grants other modes', async () => {
    const name =
      'A store with exclusive leases only says so, and every wish for another mode is refused with `HF_UNSUPPORTED`.'
    const granting = { ...harnessOf(() => ({})), modes: 'exclusive' } as const
    expect(await verdict(() => ({}), name, granting)).toBe('fails')
    const refusing = { ...harnessOf(() => ({ modes: 'exclusive', downgrade: refused })), modes: 'exclusive' } as const
    expect(await verdict(() => ({}), name, refusing)).toBe('passes')
  })
})

function refused(): Promise<undefined> {
  return Promise.reject(new UnsupportedError('Exclusive leases only.'))
}
