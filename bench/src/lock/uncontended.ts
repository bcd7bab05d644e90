import { mediansOf } from '../rounds.ts'
import type { Measure } from '../suite.ts'
import { runContest } from './contest.ts'
import type { Store } from './contestants/index.ts'
import type { UncontendedLoad, UncontendedResult } from './loads/uncontended.ts'
import { mergeUncontended } from './loads/uncontended.ts'
import { figuresOf } from '../rows.ts'
import { againstPeers, rows } from './rows.ts'
import type { Servers } from './servers.ts'

/** What measures are called, but for how many are in flight. */
const NAMES: Readonly<Record<Store, string>> = {
  redis: 'redis/uncontended',
  'redis-quorum': 'redis/quorum-3',
  'redis-quorum-fenced': 'redis/quorum-3-fenced',
  zookeeper: 'zookeeper/uncontended',
  postgres: 'postgres/uncontended',
}
const OTHERS: Readonly<Record<Store, readonly string[]>> = {
  redis: ['redlock', 'redlock-tuned', 'redis-semaphore'],
  'redis-quorum': [],
  'redis-quorum-fenced': [],
  zookeeper: [],
  postgres: [],
}
/** What ours is compared with: a floor, or who does the same. */
const FLOORS: Readonly<Record<Store, string>> = {
  redis: 'raw',
  'redis-quorum': 'redlock',
  'redis-quorum-fenced': 'redlock',
  zookeeper: 'raw',
  postgres: 'advisory',
}
const FULL = { rounds: 11, slices: 10, roundMs: 500, warmUpMs: 1_500 }
const SMOKE = { rounds: 2, slices: 2, roundMs: 60, warmUpMs: 60 }

/** Acquire and release of a lock that nobody else wants, `inFlight` at once over one connection. */
export function uncontended(store: Store, inFlight: number): Measure<Servers> {
  const name = nameOf(store, inFlight)
  return {
    name,
    async run(servers, settings) {
      const { rounds, slices, roundMs, warmUpMs } = settings.isSmoke ? SMOKE : FULL
      const loadOf = (names: readonly string[], turn: number, share: number): UncontendedLoad => {
        return { kind: 'uncontended', names, durationMs: turn < 0 ? warmUpMs : roundMs * share }
      }
      const contest = {
        name,
        store,
        contestants: ['ours', FLOORS[store], ...OTHERS[store]] as const,
        peers: store === 'zookeeper' ? (['curator', 'kazoo'] as const) : [],
        connections: 1,
        rounds: { rounds, slices, merge: mergeUncontended },
        namesOf: (contestant: string) =>
          Array.from({ length: inFlight }, (_, index) => `${contestant}-${inFlight}-${index}`),
        loadOf,
        limitMs: warmUpMs + 10_000,
      }
      const results = await runContest(contest, servers, settings)
      const subject = { name, unit: 'ops/s', better: 'higher' } as const
      const { row, ratios } = rows.compared(subject, results, { reference: FLOORS[store], figure: perSecond })
      const details = { 'client CPU µs/op': figuresOf(mediansOf(results, cpuUsOfEach)) }
      return [{ row, ratios, details }, ...againstPeers(subject, results, { peers: contest.peers, figure: perSecond })]
    },
  }
}

// Of a quorum one is in flight where the name says nothing.
function nameOf(store: Store, inFlight: number): string {
  const isQuorum = store === 'redis-quorum' || store === 'redis-quorum-fenced'
  return isQuorum && inFlight === 1 ? NAMES[store] : `${NAMES[store]}-${inFlight}`
}

function perSecond({ cycles, elapsedMs }: UncontendedResult): number {
  return cycles / (elapsedMs / 1_000)
}

function cpuUsOfEach({ cycles, cpuUs }: UncontendedResult): number {
  return cpuUs / cycles
}
