import type { AdaptiveLimit } from '@holdfast/resilience'
import { adaptiveLimit, pipeline, timeout } from '@holdfast/resilience'
import { simulateOverload } from '@holdfast/resilience/testing'
import type { Row, Task } from '../row.ts'
import { rowOf } from '../row.ts'
import { MIDDLE } from './shapes.ts'

const HANGS_AT_MS = 10_000
const DURATION_MS = 310_000
const TIMEOUT_MS = 500

/** For five minutes every call times out, all after the same time: a limit that takes those for durations would rise for ever. */
export function trapTasks(seeds: readonly number[]): readonly Task[] {
  return seeds.map(seed => ({ case: 'all-time-out', shape: MIDDLE.name, seed, run: () => played(seed) }))
}

async function played(seed: number): Promise<Row> {
  const { servers, service, meanMs, name } = MIDDLE
  let before = 0
  let after = 0
  const report = await simulateOverload({
    servers,
    service,
    load: 0.7,
    seed,
    durationMs: DURATION_MS,
    capacity: [{ fromMs: HANGS_AT_MS, speed: 0.001 }],
    policy({ clock }) {
      const limit: AdaptiveLimit = adaptiveLimit({ clock })
      const note = (value: number): void => {
        if (clock.monotonicMs() > HANGS_AT_MS) after = Math.max(after, value)
        else before = value
      }
      limit.limits.subscribe(note, { initial: true })
      return pipeline(limit, timeout({ timeoutMs: TIMEOUT_MS, clock }))
    },
  })
  const bounds = [
    { text: `limit stays at or below the ${before} it was (at most ${after})`, isKept: after <= before && after > 0 },
    { text: 'more than 100 calls time out', isKept: report.failed > 100 },
  ]
  return rowOf(
    {
      suite: 'overload',
      case: 'all-time-out',
      shape: name,
      seed,
      goodput: report.goodputRatio,
      p99: report.latency.p99Ms / meanMs,
      refused: report.refusedRatio,
    },
    bounds,
  )
}
