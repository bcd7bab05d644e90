import { mediansOf } from '../rounds.ts'
import type { Measure } from '../suite.ts'
import { runContest } from './contest.ts'
import type { Store } from './contestants/index.ts'
import type { UncontendedLoad, UncontendedResult } from './loads/uncontended.ts'
import { mergeUncontended } from './loads/uncontended.ts'
import { figuresOf } from '../rows.ts'
import { againstPeers, rows } from './rows.ts'
import type { Servers } from './servers.ts'

const OTHERS: Readonly<Record<Store, readonly string[]>> = {
  redis: ['redlock', 'redlock-tuned', 'redis-semaphore'],
  zookeeper: [],
  postgres: [],
}
/** The floor that ours is compared with. */
const FLOORS: Readonly<Record<Store, string>> = { redis: 'raw', zookeeper: 'raw', postgres: 'advisory' }
const FULL = { rounds: 11, slices: 10, roundMs: 500, warmUpMs: 1_500 }
const SMOKE = { rounds: 2, slices: 2, roundMs: 60, warmUpMs: 60 }

/** Acquire and release of a lock that nobody else wants, `inFlight` at once over one connection. */
export function uncontended(store: Store, inFlight: number): Measure<Servers> {
  const name = `${store}/uncontended-${inFlight}`
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

function perSecond({ cycles, elapsedMs }: UncontendedResult): number {
  return cycles / (elapsedMs / 1_000)
}

function cpuUsOfEach({ cycles, cpuUs }: UncontendedResult): number {
  return cpuUs / cycles
}
