import type { AdaptiveLimit } from '@holdfast/resilience'
import { adaptiveLimit } from '@holdfast/resilience'
import type { OverloadOptions, OverloadReport, SimulatedWorld } from '@holdfast/resilience/testing'
import { poisson, simulateOverload, steps } from '@holdfast/resilience/testing'
import type { Bound, Row, Task } from '../row.ts'
import { rowOf } from '../row.ts'
import type { Shape } from './shapes.ts'
import { SHAPES } from './shapes.ts'

/** A load on every shape. */
interface LoadCase {
  readonly name: string
  /** A control: nothing stands before the server. @default false */
  readonly isUnprotected?: boolean
  options(shape: Shape): Partial<OverloadOptions>
  /** From when on goodput and refusals count, in milliseconds. */
  readonly fromMs: number
  bounds(measured: Measured, shape: Shape): readonly Bound[]
}

interface Measured {
  readonly goodput: number
  /** In mean service times. */
  readonly p99: number
  readonly refused: number
}

const CUT_AT_MS = 10_000
const BURST_MS = 10_000
const SETTLED_MS = 5_000

const CASES: readonly LoadCase[] = [
  {
    name: 'load-3',
    options: () => ({ load: 3 }),
    fromMs: 0,
    bounds({ goodput, p99 }, { servers }) {
      const p99Max = servers <= 4 ? 15 : 12
      return [
        { text: 'goodput >= 0.9', isKept: goodput >= 0.9 },
        { text: `p99 <= ${p99Max}x`, isKept: p99 <= p99Max },
      ]
    },
  },
  {
    name: 'load-3-unprotected',
    isUnprotected: true,
    options: () => ({ load: 3 }),
    fromMs: 0,
    bounds: ({ goodput }) => [{ text: 'goodput < 0.1 (control)', isKept: goodput < 0.1 }],
  },
  {
    name: 'load-0.5',
    options: () => ({ load: 0.5 }),
    fromMs: 0,
    bounds: ({ refused }) => [{ text: 'refused = 0', isKept: refused === 0 }],
  },
  {
    name: 'load-0.9',
    options: () => ({ load: 0.9 }),
    fromMs: 0,
    bounds: ({ refused }) => [{ text: 'refused < 0.02', isKept: refused < 0.02 }],
  },
  {
    name: 'capacity-quarter',
    options: ({ servers, meanMs }) => {
      const left = quarterOf(servers)
      // Twelve mean service times, as they are then.
      return { load: 3, capacity: [{ fromMs: CUT_AT_MS, ...left }], deadlineMs: (12 * meanMs) / left.speed }
    },
    fromMs: CUT_AT_MS,
    bounds: ({ goodput }) => [{ text: 'goodput >= 0.85 of what is left', isKept: goodput >= 0.85 }],
  },
  {
    // From a start it may never have come to bind; here the limit has been learned, by an overload.
    name: 'load-0.9-after-3',
    options({ servers, meanMs }) {
      const perSecond = (servers * 1_000) / meanMs
      return { arrivals: poisson(steps([0, 3 * perSecond], [BURST_MS, 0.9 * perSecond])) }
    },
    fromMs: BURST_MS + SETTLED_MS,
    bounds: ({ refused }) => [{ text: 'refused < 0.02 from 5 s after', isKept: refused < 0.02 }],
  },
]

/** Every case on every shape, once for each seed. */
export function loadTasks(seeds: readonly number[]): readonly Task[] {
  return CASES.flatMap(of =>
    SHAPES.flatMap(shape =>
      seeds.map(seed => ({ case: of.name, shape: shape.name, seed, run: () => played(of, shape, seed) })),
    ),
  )
}

async function played(of: LoadCase, shape: Shape, seed: number): Promise<Row> {
  const report = await simulateOverload(optionsOf(of, shape, seed))
  const { name, fromMs } = of
  const p99 = report.latency.p99Ms / shape.meanMs
  const measured = { ...ratiosFrom(report, fromMs), p99 }
  return rowOf({ suite: 'overload', case: name, shape: shape.name, seed, ...measured }, of.bounds(measured, shape))
}

function optionsOf(of: LoadCase, shape: Shape, seed: number): OverloadOptions {
  const { servers, service } = shape
  const policy = of.isUnprotected === true ? {} : { policy: limited }
  return { servers, service, seed, ...policy, ...of.options(shape) }
}

function limited({ clock }: SimulatedWorld): AdaptiveLimit {
  return adaptiveLimit({ clock })
}

function ratiosFrom({ timeline }: OverloadReport, fromMs: number): Pick<Measured, 'goodput' | 'refused'> {
  const slices = timeline.filter(slice => slice.fromMs >= fromMs)
  const sum = (key: 'good' | 'capacity' | 'refused' | 'offered'): number =>
    slices.reduce((total, slice) => total + slice[key], 0)
  return { goodput: sum('good') / sum('capacity'), refused: sum('refused') / sum('offered') }
}

// Half a server is one at half speed.
function quarterOf(servers: number): { readonly servers: number; readonly speed: number } {
  const left = Math.max(1, servers / 4)
  return { servers: left, speed: servers / 4 / left }
}
