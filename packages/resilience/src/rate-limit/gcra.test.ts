import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Gcra, WarmGcra } from './gcra.ts'
import type { Meter, Quota } from './meter.ts'

/** The same quota as a bucket of real-valued tokens that fills evenly. */
class Bucket {
  quota: Quota
  #tokens: number
  #atMs = 0

  constructor(quota: Quota) {
    this.quota = quota
    this.#tokens = quota.burst
  }

  tokensAt(nowMs: number): number {
    const { limit, periodMs, burst } = this.quota
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * limit) / periodMs)
    this.#atMs = nowMs
    return this.#tokens
  }

  add(count: number, nowMs: number): void {
    this.#tokens = Math.min(this.quota.burst, this.tokensAt(nowMs) + count)
  }

  /** What was taken stays taken. */
  change(quota: Quota, nowMs: number): void {
    this.#tokens = quota.burst - (this.quota.burst - this.tokensAt(nowMs))
    this.quota = quota
  }
}

/** What is wrong with a ticket, by the bucket. On the brink rounding may decide either way. */
function faultOf(ticket: number, cost: number, tokens: number, { limit, periodMs, burst }: Quota): string | undefined {
  const isGranted = ticket >= 0
  if (isGranted !== tokens >= cost && Math.abs(tokens - cost) > 0.01) return `${cost} of ${tokens}: ${ticket}`
  if (isGranted) return undefined
  const waitMs = cost > burst ? Infinity : ((cost - tokens) * periodMs) / limit
  return waitMs === -ticket || Math.abs(waitMs + ticket) < 0.1 ? undefined : `${-ticket} ms in place of ${waitMs} ms`
}

const quotas = fc.record({
  limit: fc.integer({ min: 1, max: 1_000 }),
  periodMs: fc.integer({ min: 1, max: 60_000 }),
  burst: fc.integer({ min: 1, max: 50 }),
})

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('take' as const),
      afterMs: fc.double({ min: 0, max: 500, noNaN: true }),
      cost: fc.nat(12),
    }),
    fc.record({ kind: fc.constant('undo' as const), afterMs: fc.double({ min: 0, max: 5, noNaN: true }) }),
    fc.record({ kind: fc.constant('change' as const), afterMs: fc.nat(100), quota: quotas }),
  ),
  { maxLength: 60 },
)

describe('Gcra', () => {
  it('decides as a bucket of real-valued tokens does, through costs, give-backs and changes of the quota', () => {
    fc.assert(
      fc.property(quotas, steps, (first, taken) => {
        const bucket = new Bucket(first)
        let meter: Meter = new Gcra(first)
        const state = new Float64Array(meter.width)
        const costs: number[] = []
        const faults: string[] = []
        let nowMs = 1_000
        for (const step of taken) {
          nowMs += step.afterMs
          if (step.kind === 'take') {
            const tokens = bucket.tokensAt(nowMs)
            const ticket = meter.take(state, 0, step.cost, nowMs)
            const fault = faultOf(ticket, step.cost, tokens, bucket.quota)
            if (fault !== undefined) faults.push(fault)
            if (ticket < 0) continue
            bucket.add(-step.cost, nowMs)
            costs.push(step.cost)
          } else if (step.kind === 'undo') {
            const cost = costs.pop()
            if (cost === undefined) continue
            meter.undo(state, 0, cost, 0)
            bucket.add(cost, nowMs)
          } else {
            const next = new Gcra(step.quota)
            next.adopt(state, 0, meter, nowMs)
            bucket.change(step.quota, nowMs)
            meter = next
            costs.length = 0
          }
        }
        expect(faults).toEqual([])
        const tokens = bucket.tokensAt(nowMs)
        const { remaining } = meter.look(state, 0, nowMs)
        expect(remaining).toBeGreaterThanOrEqual(Math.floor(tokens - 0.01))
        expect(remaining).toBeLessThanOrEqual(Math.max(0, tokens + 0.01))
      }),
    )
  })

  it('grants a whole burst whatever the limit, and one permit each interval after it', () => {
    const meter = new Gcra({ limit: 3, periodMs: 1_000, burst: 7 })
    const state = new Float64Array(2)
    for (let count = 0; count < 7; count++) expect(meter.take(state, 0, 1, 12_345.678)).toBe(0)
    expect(meter.take(state, 0, 1, 12_345.678)).toBeCloseTo(-1_000 / 3, 3)
    expect(meter.take(state, 0, 1, 12_345.678 + 333)).toBeLessThan(0)
    expect(meter.take(state, 0, 1, 12_345.678 + 334)).toBe(0)
  })

  it('admits burst + limit * t when hammered, and no more', () => {
    const meter = new Gcra({ limit: 100, periodMs: 1_000, burst: 10 })
    const state = new Float64Array(2)
    let admitted = 0
    for (let step = 0; step <= 60_000; step++) if (meter.take(state, 0, 1, 5_000 + step / 20) >= 0) admitted += 1
    expect(admitted).toBe(310)
  })

  it('is whole when a state of 0 would say the same', () => {
    const meter = new Gcra({ limit: 10, periodMs: 1_000, burst: 2 })
    const state = new Float64Array(2)
    expect(meter.isWhole(state, 0, 1_000)).toBe(true)
    meter.take(state, 0, 1, 1_000)
    expect(meter.isWhole(state, 0, 1_099)).toBe(false)
    expect(meter.isWhole(state, 0, 1_100)).toBe(true)
  })
})

/** How many calls are admitted within a time by a meter that is asked every millisecond. */
function admittedIn(
  meter: Meter,
  state: Float64Array,
  { fromMs, untilMs }: { fromMs: number; untilMs: number },
): number {
  let admitted = 0
  for (let nowMs = fromMs; nowMs < untilMs; nowMs += 0.5) if (meter.take(state, 0, 1, nowMs) >= 0) admitted += 1
  return admitted
}

describe('WarmGcra', () => {
  const quota = { limit: 300, periodMs: 1_000, burst: 5 }
  const warmUp = { durationMs: 4_000, coldFactor: 3 }

  it('starts at a third of the limit and reaches it after its duration under load', () => {
    const meter = new WarmGcra(quota, warmUp)
    const state = new Float64Array(2)
    const first = admittedIn(meter, state, { fromMs: 10_000, untilMs: 10_200 })
    expect(first).toBeGreaterThanOrEqual(20)
    expect(first).toBeLessThanOrEqual(26)
    // The ramp: 2 w / (T (1 + f)) = 600 permits in 4 s.
    const ramp = first + admittedIn(meter, state, { fromMs: 10_200, untilMs: 14_000 })
    expect(ramp).toBeGreaterThanOrEqual(595)
    expect(ramp).toBeLessThanOrEqual(605)
    const warm = admittedIn(meter, state, { fromMs: 14_000, untilMs: 15_000 })
    expect(warm).toBeGreaterThanOrEqual(298)
    expect(warm).toBeLessThanOrEqual(301)
  })

  it('is cold again after a rest of its duration, and half-way after a short one', () => {
    const meter = new WarmGcra(quota, warmUp)
    const state = new Float64Array(2)
    admittedIn(meter, state, { fromMs: 10_000, untilMs: 16_000 })
    expect(meter.isWhole(state, 0, 19_000)).toBe(false)
    expect(meter.isWhole(state, 0, 20_100)).toBe(true)
    const again = admittedIn(meter, state, { fromMs: 20_100, untilMs: 20_300 })
    expect(again).toBeLessThanOrEqual(26)
  })

  it('admits one at a time where the burst is one', () => {
    const meter = new WarmGcra({ ...quota, burst: 1 }, warmUp)
    const state = new Float64Array(2)
    expect(meter.look(state, 0, 10_000).remaining).toBe(1)
    expect(meter.take(state, 0, 1, 10_000)).toBe(0)
    expect(-meter.take(state, 0, 1, 10_000)).toBeCloseTo(10, 0)
    expect(meter.take(state, 0, 2, 10_000)).toBe(-Infinity)
  })

  it('gives back what undo returns, warmth included', () => {
    const meter = new WarmGcra({ ...quota, burst: 30 }, warmUp)
    const state = new Float64Array(2)
    meter.take(state, 0, 5, 10_000)
    const before = [...state]
    const ticket = meter.take(state, 0, 7, 10_000)
    meter.undo(state, 0, 7)
    expect(ticket).toBe(0)
    expect(state[0]).toBeCloseTo(before[0] ?? 0, 6)
    expect(state[1]).toBeCloseTo(before[1] ?? 0, 6)
  })

  it('takes a limit that was in use for warm, and keeps how warm one is through a change', () => {
    const plain = new Gcra(quota)
    const state = new Float64Array(2)
    admittedIn(plain, state, { fromMs: 10_000, untilMs: 11_000 })
    const meter = new WarmGcra(quota, warmUp)
    meter.adopt(state, 0, plain, 11_000)
    expect(admittedIn(meter, state, { fromMs: 11_000, untilMs: 12_000 })).toBeGreaterThanOrEqual(298)
    const doubled = new WarmGcra({ ...quota, limit: 600 }, warmUp)
    doubled.adopt(state, 0, meter, 12_000)
    expect(admittedIn(doubled, state, { fromMs: 12_000, untilMs: 13_000 })).toBeGreaterThanOrEqual(590)
  })
})
