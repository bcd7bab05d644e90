import { ConsecutiveBreaker, circuitBreaker as foreignBreaker, handleAll } from 'cockatiel'
import { describe, expect, it } from 'vitest'
import { adaptiveLimit } from '../adaptive/adaptive-limit.ts'
import { pipeline } from '../pipeline.ts'
import { evenly, poisson, steps, suddenlyHot } from './arrivals.ts'
import { overloadPlot } from './overload-plot.ts'
import { overloadChart, overloadTable } from './overload-table.ts'
import { exponential, fixed, mixture } from './service-times.ts'
import type { OverloadOptions } from './simulate-overload.ts'
import { simulateOverload } from './simulate-overload.ts'

const BURST: OverloadOptions = { servers: 8, service: exponential(10), load: 3, durationMs: 5_000 }

function limited(options: Partial<OverloadOptions> = {}): OverloadOptions {
  return { ...BURST, policy: ({ clock }) => adaptiveLimit({ clock }), ...options }
}

/** How long a call waits on average in M/M/c, by Erlang's formula C. */
function erlangWaitMs(servers: number, load: number, meanMs: number): number {
  const offered = servers * load
  let term = 1
  let below = 0
  for (let count = 0; count < servers; count++) {
    below += term
    term *= offered / (count + 1)
  }
  const waiting = term / (1 - load)
  return ((waiting / (below + waiting)) * meanMs) / (servers * (1 - load))
}

describe('simulateOverload', () => {
  it('gives the same report for the same seed, and another for another', async () => {
    const one = await simulateOverload(limited({ seed: 5 }))
    const same = await simulateOverload(limited({ seed: 5 }))
    const other = await simulateOverload(limited({ seed: 6 }))
    expect(same).toEqual(one)
    expect(other.offered).not.toBe(one.offered)
  })

  it.each([
    [1, 0.5],
    [2, 0.5],
    [2, 0.8],
    [8, 0.7],
  ])('lets calls wait as long as Erlang says: %d servers at a load of %d', async (servers, load) => {
    const { latency } = await simulateOverload({
      servers,
      service: exponential(10),
      load,
      durationMs: 600_000,
      sliceMs: 10_000,
      seed: 3,
    })
    const theory = 10 + erlangWaitMs(servers, load, 10)
    expect(Math.abs(latency.meanMs / theory - 1)).toBeLessThan(0.05)
  })

  it('counts every call once', async () => {
    const report = await simulateOverload(limited())
    const { offered, good, late, refused, failed, timeline } = report
    const underWay = offered - good - late - refused - failed
    expect(underWay).toBeGreaterThanOrEqual(0)
    expect(underWay).toBeLessThan(100)
    expect(timeline.reduce((sum, slice) => sum + slice.offered, 0)).toBe(offered)
    expect(report.capacity).toBeCloseTo(4_000, 6)
  })

  it('shows what a limit is for: without one nearly all answers are late', async () => {
    const bare = await simulateOverload(BURST)
    const protectedRun = await simulateOverload(limited())
    expect(bare.refused).toBe(0)
    expect(bare.goodputRatio).toBeLessThan(0.2)
    expect(protectedRun.goodputRatio).toBeGreaterThan(0.8)
  })

  it('changes capacity when it is told to', async () => {
    const { timeline, capacity } = await simulateOverload({
      servers: 4,
      service: fixed(10),
      arrivals: evenly(1_000),
      durationMs: 3_000,
      sliceMs: 1_000,
      deadlineMs: 100_000,
      capacity: [
        { fromMs: 2_000, servers: 1 },
        { fromMs: 1_000, speed: 0.5 },
      ],
    })
    expect(timeline.map(slice => slice.capacity)).toEqual([400, 200, 50])
    expect(capacity).toBe(650)
    expect(Math.abs((timeline[1]?.good ?? 0) - 200)).toBeLessThan(10)
    expect(Math.abs((timeline[2]?.good ?? 0) - 50)).toBeLessThan(10)
  })

  it('drives policies of cockatiel, and what clients do', async () => {
    let tries = 0
    const { offered, refused, amplification } = await simulateOverload({
      ...limited(),
      policy: ({ clock }) =>
        pipeline(
          adaptiveLimit({ clock, limitMax: 10 }),
          foreignBreaker(handleAll, { halfOpenAfter: 10, breaker: new ConsecutiveBreaker(5) }),
        ),
      client: ({ clock }) => ({
        ...pipeline(adaptiveLimit({ clock, limitMax: 1_000_000, limitStart: 1_000_000 })),
        execute: async work => {
          tries += 1
          return await work({ signal: new AbortController().signal })
        },
      }),
    })
    expect(tries).toBe(offered)
    expect(refused).toBeGreaterThan(0)
    expect(amplification).toBeLessThan(1)
  })

  it('tells the policy of each call what `callOptions` says', async () => {
    const keys = new Set<string | undefined>()
    await simulateOverload({
      ...BURST,
      durationMs: 100,
      policy: ({ clock }) => adaptiveLimit({ clock, handle: () => false }),
      callOptions: random => {
        const key = random.next() < 0.5 ? 'hot' : 'cold'
        keys.add(key)
        return { key }
      },
    })
    expect(keys).toEqual(new Set(['cold', 'hot']))
  })

  it.each<[Partial<OverloadOptions>, string]>([
    [{ load: undefined } as unknown as OverloadOptions, 'Expected one of `load` and `arrivals`.'],
    [{ arrivals: poisson(5) }, 'Expected one of `load` and `arrivals`.'],
    [{ servers: 0 }, 'Expected `servers` to be an integer from 1 to 10000, got 0.'],
    [{ load: -1 }, 'Expected `load` to be a number >= 0, got -1.'],
    [{ service: 16 as never }, 'Expected `service` to be service times, such as exponential(16).'],
    [{ sliceMs: 9_000 }, 'Expected `sliceMs` to be an integer from 1 to 5000, got 9000.'],
    [{ durationSeconds: 3 } as never, 'Unknown option `durationSeconds` of simulateOverload'],
  ])('refuses %j', async (options, message) => {
    await expect(simulateOverload({ ...BURST, ...options })).rejects.toThrow(message)
  })
})

describe('arrivals and service times', () => {
  it('follow a rate that steps', async () => {
    const arrivals = poisson(steps([0, 100], [1_000, 1_000], [2_000, 0]))
    const { timeline } = await simulateOverload({
      servers: 1,
      service: fixed(1),
      arrivals,
      durationMs: 3_000,
      sliceMs: 1_000,
    })
    const [calm = 0, burst = 0, quiet] = timeline.map(({ offered }) => offered)
    expect(Math.abs(calm - 100)).toBeLessThan(40)
    expect(Math.abs(burst - 1_000)).toBeLessThan(130)
    expect(quiet).toBe(0)
  })

  it('know a product that is suddenly wanted, by half less every half-life', () => {
    const { perSecond, peakPerSecond } = suddenlyHot({
      basePerSecond: 10,
      peakPerSecond: 80,
      atMs: 1_000,
      halfLifeMs: 500,
    })
    expect([999, 1_000, 1_500, 2_000].map(perSecond)).toEqual([10, 90, 50, 30])
    expect(peakPerSecond).toBe(90)
  })

  it('mix kinds of calls by weight', () => {
    const times = mixture([9, fixed(5)], [1, fixed(100)])
    expect(times.meanMs).toBeCloseTo(14.5, 9)
    expect(times.nextMs({ next: () => 0.5, bytes: () => new Uint8Array() })).toBe(5)
    expect(times.nextMs({ next: () => 0.95, bytes: () => new Uint8Array() })).toBe(100)
  })

  it('refuse numbers that make no sense', () => {
    expect(() => exponential(0)).toThrow('Expected `meanMs` to be a number >= 0.001, got 0.')
    expect(() => poisson(-1)).toThrow('Expected `rate` to be a number >= 0, got -1.')
    expect(() => steps([-1, 5])).toThrow('`fromMs`')
    expect(() => mixture([0, fixed(1)])).toThrow('sum of weights')
  })
})

describe('what is shown of reports', () => {
  it('is a table with a line for each, and a chart over time', async () => {
    const reports = { unprotected: await simulateOverload(BURST), adaptive: await simulateOverload(limited()) }
    const lines = overloadTable(reports).split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[1]).toMatch(/^unprotected .* 0\.0 %/)
    expect(overloadChart(reports.adaptive).split('\n')[0]).toMatch(/^goodput {3}[▁▂▃▄▅▆▇█]{10}$/)
  })

  it('is a plot, the same for the same reports, with names made safe', async () => {
    const reports = { 'a < b': await simulateOverload(limited()) }
    const plot = overloadPlot(reports, { title: 'A burst' })
    expect(plot).toBe(overloadPlot(reports, { title: 'A burst' }))
    expect(plot).toContain('a &lt; b')
    expect(plot).not.toContain('NaN')
  })

  it('refuses a policy that goes by another clock', async () => {
    const server = { servers: 2, service: exponential(10), load: 1, durationMs: 1_000 }
    const wanted = 'Expected `policy` to make policies with the clock of the simulation, got another'
    await expect(simulateOverload({ ...server, policy: () => adaptiveLimit() })).rejects.toThrow(wanted)
  })
})
