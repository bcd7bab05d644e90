import { Servers } from '../lock/servers.ts'
import type { Measure, Suite } from '../suite.ts'
import { BOUNDS } from './bounds.ts'
import { callCost } from './call-cost.ts'
import { httpOverload } from './http-overload.ts'
import { distributedLimit, leasedLimit } from './limit.ts'

const MEASURES: readonly Measure<Servers>[] = [
  callCost('pipeline-6'),
  callCost('refusal'),
  callCost('timeout'),
  distributedLimit,
  leasedLimit,
  httpOverload,
]

/** What protection costs a call, and how fast and how exact a shared limit is, and how much of an overloaded server's work is done. */
export const resilience: Suite = {
  name: 'resilience',
  measures: MEASURES.map(({ name }) => name),
  bounds: BOUNDS,
  packages: ['ioredis', 'cockatiel-3', 'cockatiel-4', 'rate-limiter-flexible'],
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
