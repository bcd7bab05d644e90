import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import type { LeaseMode } from '../ports/leases.ts'
import type { Claim, Holding } from './holding.ts'
import { SharedLeases } from './shared-leases.ts'

const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }
const TTL_MS = 1_000

let clock: SimulatedClock

beforeEach(() => {
  clock = new SimulatedClock()
})

function leasesOf(simulated: SimulatedClock): SharedLeases {
  let last = 0n
  return new SharedLeases(simulated, { last: () => last, next: () => (last += 1n) })
}

function claim(id: number, mode: LeaseMode, ttlMs: number = TTL_MS): Claim {
  return { requestId: `${id}`, mode, ttlMs, meta: '{}' }
}

/** The same rules in the plainest way: two lists, gone through after each step. */
class PlainModel {
  #holders: { readonly id: string; readonly mode: LeaseMode; readonly slot: number; endsAtMs: number }[] = []
  #queue: Claim[] = []

  step(nowMs: number): void {
    this.#holders = this.#holders.filter(({ endsAtMs }) => endsAtMs > nowMs)
    for (let [first] = this.#queue; first !== undefined && this.#fits(first); [first] = this.#queue) {
      this.#queue.shift()
      this.#hold(first, nowMs)
    }
  }

  ask(wish: Claim, nowMs: number, waits: boolean): void {
    this.step(nowMs)
    if (this.#queue.length === 0 && this.#fits(wish)) this.#hold(wish, nowMs)
    else if (waits) this.#queue.push(wish)
  }

  renew(id: string, endsAtMs: number): void {
    for (const holder of this.#holders) if (holder.id === id) holder.endsAtMs = endsAtMs
  }

  leave(id: string): void {
    this.#holders = this.#holders.filter(holder => holder.id !== id)
    this.#queue = this.#queue.filter(({ requestId }) => requestId !== id)
  }

  get holders(): readonly string[] {
    return this.#holders.map(({ id, mode, slot }) => `${id} ${mode.kind} ${mode.kind === 'permit' ? slot : '-'}`)
  }

  get waiters(): readonly string[] {
    return this.#queue.map(({ requestId }) => requestId)
  }

  #fits({ mode }: Claim): boolean {
    const kinds = this.#holders.map(holder => holder.mode.kind)
    if (mode?.kind === 'permit') return kinds.length < mode.limit
    return kinds.length === 0 || (mode?.kind === 'read' && !kinds.includes('write'))
  }

  #hold({ requestId, mode, ttlMs }: Claim, nowMs: number): void {
    if (mode === undefined) return
    let slot = 0
    while (this.#holders.some(holder => holder.slot === slot)) slot += 1
    this.#holders.push({ id: requestId, mode, slot, endsAtMs: nowMs + ttlMs })
  }
}

interface Ask {
  readonly kind: 'try' | 'wait'
  readonly id: number
  readonly mode: LeaseMode
  readonly ttlMs: number
}

interface Other {
  readonly kind: 'leave' | 'renew' | 'pass'
  readonly id: number
}

type Step = Ask | Other

function asks(mode: fc.Arbitrary<LeaseMode>): fc.Arbitrary<Ask> {
  const kind = fc.constantFrom<'try' | 'wait'>('try', 'wait')
  return fc.record({ kind, id: fc.nat(9), mode, ttlMs: fc.integer({ min: 5, max: 50 }) })
}

const readWrite = asks(fc.constantFrom<LeaseMode>(READ, READ, WRITE))
const permits = asks(fc.integer({ min: 1, max: 4 }).map(limit => ({ kind: 'permit', limit })))
const other: fc.Arbitrary<Other> = fc.record({
  kind: fc.constantFrom<Other['kind']>('leave', 'renew', 'pass'),
  id: fc.nat(9),
})

async function play(steps: readonly Step[]): Promise<void> {
  const simulated = new SimulatedClock()
  const leases = leasesOf(simulated)
  const model = new PlainModel()
  for (const step of steps) {
    await apply(step, { simulated, leases, model })
    const nowMs = simulated.monotonicMs()
    model.step(nowMs)
    const { holders, waiters } = leases.inspect('r')
    expect(holders.map(({ requestId, mode, slot }) => `${requestId} ${mode} ${slot ?? '-'}`)).toEqual(model.holders)
    expect(waiters.map(({ requestId }) => requestId)).toEqual(model.waiters)
    expect(leases.resources()).toEqual(model.holders.length + model.waiters.length === 0 ? [] : ['r'])
  }
  // Whoever waits is served by the clock alone, and nothing is left to do at the end.
  await simulated.advance(100 * steps.length)
  expect(leases.inspect('r')).toMatchObject({ holders: [], waiters: [] })
  expect([leases.resources(), simulated.pendingTimers]).toEqual([[], 0])
}

interface Table {
  readonly simulated: SimulatedClock
  readonly leases: SharedLeases
  readonly model: PlainModel
}

async function apply(step: Step, { simulated, leases, model }: Table): Promise<void> {
  const nowMs = simulated.monotonicMs()
  if ('mode' in step) {
    const isKnown = [...model.holders, ...model.waiters].some(shown => shown.split(' ')[0] === `${step.id}`)
    if (isKnown) return
    const wish = claim(step.id, step.mode, step.ttlMs)
    const isGranted = leases.tryGrant('r', wish) !== undefined
    const waits = step.kind === 'wait'
    if (!isGranted && waits) leases.enqueue('r', wish, () => {})
    return model.ask(wish, nowMs, waits)
  }
  if (step.kind === 'pass') {
    for (let ms = 0; ms < 2 * step.id; ms += 1) {
      await simulated.advance(1)
      model.step(simulated.monotonicMs())
    }
    return
  }
  if (step.kind === 'leave') {
    leases.release('r', `${step.id}`)
    return model.leave(`${step.id}`)
  }
  leases.renew('r', `${step.id}`, 30)
  model.renew(`${step.id}`, nowMs + 30)
}

describe('SharedLeases', () => {
  it('does what a plain model of readers and writers does', async () => {
    const steps = fc.array(fc.oneof(readWrite, other), { maxLength: 60 })
    await fc.assert(fc.asyncProperty(steps, play), { seed: 5, numRuns: 300 })
  })

  it('does what a plain model of permits does, whatever their limits', async () => {
    const steps = fc.array(fc.oneof(permits, other), { maxLength: 60 })
    await fc.assert(fc.asyncProperty(steps, play), { seed: 6, numRuns: 300 })
  })

  it('serves one who waits by the first deadline of all, also when it was moved nearer', async () => {
    const leases = leasesOf(clock)
    leases.tryGrant('r', claim(1, READ, 10_000))
    leases.tryGrant('r', claim(2, READ, 500))
    let granted: Holding | undefined
    leases.enqueue('r', claim(3, WRITE), holding => (granted = holding))
    await clock.advance(600)
    expect([granted, clock.pendingTimers]).toEqual([undefined, 1])
    leases.renew('r', '1', 100)
    await clock.advance(100)
    expect(granted?.requestId).toBe('3')
  })

  it('gives thousands of permits out and takes them back in any order, the lowest slot first', () => {
    const leases = leasesOf(clock)
    const mode: LeaseMode = { kind: 'permit', limit: 1_000_000 }
    for (let id = 0; id < 5_000; id += 1) expect(leases.tryGrant('r', claim(id, mode))?.slot).toBe(id)
    for (const id of [4_000, 3, 77]) leases.release('r', `${id}`)
    const again = [5_000, 5_001, 5_002, 5_003].map(id => leases.tryGrant('r', claim(id, mode))?.slot)
    expect(again).toEqual([3, 77, 4_000, 5_000])
  })

  it('gives readers the last writer’s token for as long as anybody holds or waits, and never less than any writer’s', () => {
    const leases = leasesOf(clock)
    const written = leases.tryGrant('r', claim(1, WRITE))?.token.value
    leases.downgrade('r', '1', claim(2, READ))
    leases.tryGrant('other', claim(3, WRITE))
    expect(leases.tryGrant('r', claim(4, READ))?.token.value).toBe(written)
    for (const id of ['2', '4']) leases.release('r', id)
    const later = leases.tryGrant('r', claim(5, READ))?.token.value ?? 0n
    expect(later >= (written ?? 0n)).toBe(true)
    leases.release('r', '5')
    expect((leases.tryGrant('r', claim(6, WRITE))?.token.value ?? 0n) > later).toBe(true)
  })
})
