import { pipeline, retry, retryBudget, timeout } from '@holdfast/resilience'
import type { OverloadReport } from '@holdfast/resilience/testing'
import { poisson, simulateOverload, steps } from '@holdfast/resilience/testing'
import type { Bound, Row, Task } from '../row.ts'
import { rowOf } from '../row.ts'
import { MIDDLE } from './shapes.ts'

const PER_SECOND = 750
const BURST = 1.5
const BURST_FROM_MS = 10_000
const BURST_MS = 4_000
const RECOVERED_MS = 10_000
const MEASURED_MS = 10_000
/** A client waits twelve times as long as a call takes on average. */
const TIMEOUT_MS = 192

/**
 * A service at 0.75 of what it can do gets half as much again for four seconds. Clients time out and come again, up to three times.
 * Without a budget the retries alone are more than it can do, so it never comes back.
 */
export function metastableTasks(seeds: readonly number[]): readonly Task[] {
  return [true, false].flatMap(hasBudget =>
    seeds.map(seed => ({ case: nameOf(hasBudget), shape: MIDDLE.name, seed, run: () => played(hasBudget, seed) })),
  )
}

function nameOf(hasBudget: boolean): string {
  return hasBudget ? 'burst-retry-budget' : 'burst-retry-unbounded'
}

async function played(hasBudget: boolean, seed: number): Promise<Row> {
  const { servers, service, meanMs, name } = MIDDLE
  const untilMs = BURST_FROM_MS + BURST_MS
  const report = await simulateOverload({
    servers,
    service,
    seed,
    arrivals: poisson(steps([0, PER_SECOND], [BURST_FROM_MS, BURST * PER_SECOND], [untilMs, PER_SECOND])),
    durationMs: untilMs + RECOVERED_MS + MEASURED_MS,
    // The caller of the client waits for all its attempts.
    deadlineMs: 2_000,
    client({ clock, random }) {
      const budget = hasBudget ? retryBudget({ clock }) : false
      return pipeline(
        retry({ maxAttempts: 4, baseMs: 20, budget, clock, random }),
        timeout({ timeoutMs: TIMEOUT_MS, clock }),
      )
    },
  })
  const goodput = goodPerOffered(report, untilMs + RECOVERED_MS)
  const bound: Bound = hasBudget
    ? { text: 'good/offered >= 0.98 from 10 s after the burst', isKept: goodput >= 0.98 }
    : { text: 'good/offered < 0.5 from 10 s after the burst (control)', isKept: goodput < 0.5 }
  const p99 = report.latency.p99Ms / meanMs
  return rowOf(
    { suite: 'overload', case: nameOf(hasBudget), shape: name, seed, goodput, p99, refused: report.refusedRatio },
    [bound],
  )
}

function goodPerOffered({ timeline }: OverloadReport, fromMs: number): number {
  const slices = timeline.filter(slice => slice.fromMs >= fromMs)
  const sum = (key: 'good' | 'offered'): number => slices.reduce((total, slice) => total + slice[key], 0)
  return sum('good') / sum('offered')
}
