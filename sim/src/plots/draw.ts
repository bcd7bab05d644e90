import { mkdir, writeFile } from 'node:fs/promises'
import { adaptiveLimit, bulkhead, rateLimit } from '@holdfast/resilience'
import type { AnyPolicy } from '@holdfast/resilience'
import type { OverloadReport, SimulatedWorld } from '@holdfast/resilience/testing'
import { overloadPlot, overloadTable, poisson, simulateOverload, steps } from '@holdfast/resilience/testing'
import { MIDDLE } from '../overload/shapes.ts'

const FOLDER = new URL('../../../docs/plots/', import.meta.url)
const SEED = 7
const CAPACITY = (MIDDLE.servers * 1_000) / MIDDLE.meanMs
const CALM = 0.5 * CAPACITY
const BURST = 3 * CAPACITY
const BURST_FROM_MS = 10_000
const BURST_UNTIL_MS = 25_000
const DURATION_MS = 40_000

type Maker = (world: SimulatedWorld) => AnyPolicy

/** What stands before the server in one plot, by the name in the legend. */
const POLICIES: Readonly<Record<string, Maker | undefined>> = {
  unprotected: undefined,
  'bulkhead of 500': ({ clock }) => bulkhead({ limit: 500, clock }),
  'bulkhead of 24': ({ clock }) => bulkhead({ limit: 24, clock }),
  'rate limit of 900/s': ({ clock }) => rateLimit({ limit: 900, periodMs: 1_000, burst: 50, clock }),
  adaptive: ({ clock }) => adaptiveLimit({ clock }),
}

/** What happens to the server while the burst lasts, one plot for each. */
const STORIES = [
  {
    file: 'overload-burst.svg',
    title: 'Three times too many calls, for 15 seconds',
    about: ['A server of 16 with exponential times of 16 ms (1,000 calls per second), first come first served.'],
    capacity: [],
  },
  {
    file: 'overload-burst-slow.svg',
    title: 'The same, and the server loses three quarters of itself at 15 s',
    about: ['As before, with 4 of 16 left from 15 s to 30 s: a rate that was right is too much now.'],
    capacity: [
      { fromMs: 15_000, servers: 4 },
      { fromMs: 30_000, servers: 16 },
    ],
  },
] as const

/** Draws the plots of the docs anew: the same files for the same code. */
export async function drawPlots(say: (line: string) => void): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  for (const { file, title, about, capacity } of STORIES) {
    const reports: Record<string, OverloadReport> = {}
    for (const [name, policy] of Object.entries(POLICIES)) {
      reports[name] = await simulateOverload({
        servers: MIDDLE.servers,
        service: MIDDLE.service,
        arrivals: poisson(steps([0, CALM], [BURST_FROM_MS, BURST], [BURST_UNTIL_MS, CALM])),
        durationMs: DURATION_MS,
        capacity,
        seed: SEED,
        ...(policy !== undefined && { policy }),
      })
    }
    const made = `Load 0.5, and 3 from 10 s to 25 s; deadline 12 service times; seed ${SEED}; npm run sim -- plots`
    await writeFile(new URL(file, FOLDER), overloadPlot(reports, { title, about: [...about, made] }))
    say(`docs/plots/${file}\n${overloadTable(reports)}\n`)
  }
}
