import type { Measure, Suite } from '../suite.ts'
import { BOUNDS } from './bounds.ts'
import { election } from './election.ts'
import { handOff } from './hand-off.ts'
import { idle } from './idle.ts'
import { renewals } from './renewals.ts'
import { Servers } from './servers.ts'
import { uncontended } from './uncontended.ts'

const MEASURES: readonly Measure<Servers>[] = [
  uncontended('redis', 1),
  uncontended('redis', 64),
  handOff({ store: 'redis', thinkMsMax: 0 }),
  handOff({ store: 'redis', thinkMsMax: 20 }),
  idle,
  renewals,
  uncontended('redis-quorum', 1),
  uncontended('redis-quorum', 64),
  uncontended('redis-quorum-fenced', 1),
  uncontended('redis-quorum-fenced', 64),
  election('redis'),
  uncontended('zookeeper', 1),
  uncontended('zookeeper', 64),
  handOff({ store: 'zookeeper', thinkMsMax: 0 }),
  election('zookeeper'),
  uncontended('postgres', 1),
  uncontended('postgres', 64),
  handOff({ store: 'postgres', thinkMsMax: 0 }),
  election('postgres'),
]

/**
 * What a lock costs, uncontended, handed over, and waited for, and how long nobody leads, beside the floors of its servers and beside
 * its peers.
 */
export const lock: Suite = {
  name: 'lock',
  measures: MEASURES.map(({ name }) => name),
  bounds: BOUNDS,
  packages: ['ioredis', 'node-zookeeper-client', 'pg', 'redlock', 'redis-semaphore'],
  async run(names, settings, report) {
    await using servers = new Servers()
    const runAll = async (measures: readonly Measure<Servers>[]): Promise<void> => {
      for (const measure of measures) {
        try {
          for (const measured of await measure.run(servers, settings)) report.measured(measured)
        } catch (error) {
          report.broke(measure.name, error)
        }
      }
    }
    const asked = MEASURES.filter(({ name }) => names.includes(name))
    // What measures nothing may be disturbed: then no store waits for another.
    await Promise.all((settings.isSmoke ? byStore(asked) : [asked]).map(runAll))
  },
}

function byStore(measures: readonly Measure<Servers>[]): readonly Measure<Servers>[][] {
  const stores = new Map<string, Measure<Servers>[]>()
  for (const measure of measures) {
    const [store = ''] = measure.name.split('/')
    stores.set(store, [...(stores.get(store) ?? []), measure])
  }
  return [...stores.values()]
}
