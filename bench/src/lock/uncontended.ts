import type { Measure } from '../suite.ts'
import { runContest } from './contest.ts'
import type { Store } from './contestants/index.ts'
import type { UncontendedLoad } from './loads/uncontended.ts'
import { speedRow } from './rows.ts'
import type { Servers } from './servers.ts'

const PEERS: Readonly<Record<Store, readonly string[]>> = {
  redis: ['redlock', 'redlock-tuned', 'redis-semaphore'],
  zookeeper: [],
}
const FULL = { rounds: 9, durationMs: 600, warmUpMs: 800 }
const SMOKE = { rounds: 2, durationMs: 60, warmUpMs: 60 }

/** Acquire and release of a lock that nobody else wants, `inFlight` at once over one connection. */
export function uncontended(store: Store, inFlight: number): Measure<Servers> {
  const name = `${store}/uncontended-${inFlight}`
  return {
    name,
    async run(servers, settings) {
      const { rounds, durationMs, warmUpMs } = settings.isSmoke ? SMOKE : FULL
      const loadOf = (names: readonly string[], round: number): UncontendedLoad => {
        return { kind: 'uncontended', names, durationMs: round < 0 ? warmUpMs : durationMs }
      }
      const results = await runContest(
        {
          name,
          store,
          contestants: ['ours', 'raw', ...PEERS[store]],
          connections: 1,
          rounds,
          namesOf: contestant => Array.from({ length: inFlight }, (_, index) => `${contestant}-${inFlight}-${index}`),
          loadOf,
          limitMs: warmUpMs + 10_000,
        },
        servers,
        settings,
      )
      const by = { reference: 'raw', figure: (result: { readonly perSecond: number }) => result.perSecond }
      return [speedRow({ name, unit: 'ops/s', better: 'higher' }, results, by)]
    },
  }
}
