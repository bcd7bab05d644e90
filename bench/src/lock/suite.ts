import type { Measure, Suite } from '../suite.ts'
import { BOUNDS } from './bounds.ts'
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
  uncontended('zookeeper', 1),
  uncontended('zookeeper', 64),
  handOff({ store: 'zookeeper', thinkMsMax: 0 }),
  uncontended('postgres', 1),
  uncontended('postgres', 64),
  handOff({ store: 'postgres', thinkMsMax: 0 }),
]

/** What a lock costs, uncontended, handed over, and waited for, beside the floors of its servers and beside its peers. */
export const lock: Suite = {
  name: 'lock',
  measures: MEASURES.map(({ name }) => name),
  bounds: BOUNDS,
  packages: ['ioredis', 'node-zookeeper-client', 'pg', 'redlock', 'redis-semaphore'],
  async run(names, settings, report) {
    await using servers = new Servers()
    for (const measure of MEASURES.filter(({ name }) => names.includes(name))) {
      try {
        for (const measured of await measure.run(servers, settings)) report.measured(measured)
      } catch (error) {
        report.broke(measure.name, error)
      }
    }
  },
}
