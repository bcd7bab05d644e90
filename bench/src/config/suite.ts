import { Servers } from '../lock/servers.ts'
import type { Measure, Suite } from '../suite.ts'
import { BOUNDS } from './bounds.ts'
import { fanOut } from './fan-out.ts'
import { publishApplied } from './publish-applied.ts'
import { readCurrent } from './read-current.ts'
import { repair } from './repair.ts'

const MEASURES: readonly Measure<Servers>[] = [
  readCurrent,
  publishApplied('redis'),
  fanOut,
  repair,
  publishApplied('zookeeper'),
]

/** What it costs to read configuration, and how soon a publish is applied, beside what the same servers give anybody. */
export const config: Suite = {
  name: 'config',
  measures: MEASURES.map(({ name }) => name),
  bounds: BOUNDS,
  packages: ['ioredis', 'node-zookeeper-client'],
  async run(names, settings, report) {
    await using servers = new Servers()
    for (const measure of MEASURES.filter(({ name }) => names.includes(name))) {
      try {
        settings.say(measure.name)
        for (const measured of await measure.run(servers, settings)) report.measured(measured)
      } catch (error) {
        report.broke(measure.name, error)
      }
    }
  },
}
