import { describe, expect, it } from 'vitest'
import { acquireLease } from '../../lease/acquire.ts'
import type { SimulatedHold, SimulationEvent } from './events.ts'
import { describeEvents } from './events.ts'
import { checkEvents } from './checks.ts'
import { ALL_FAULTS } from './faults.ts'
import type { SimulatedProcess } from './process.ts'
import type { SimulationOptions } from './simulate.ts'
import { simulate } from './simulate.ts'

async function count(process: SimulatedProcess): Promise<void> {
  const stock = process.register('stock')
  for (let round = 0; round < 5; round += 1) {
    const lease = await acquireLease(process.backend, 'stock', { ttlMs: 1_000, guard: stock.guard })
    await stock.write((await stock.read()) + 1, lease)
    await process.sleep(process.random.next() * 500)
    await lease.release()
  }
}

describe('simulate', () => {
  it('gives the same history for the same seed, and another for another', async () => {
    const [one, again, other] = [
      await simulate({ seed: 4, faults: ALL_FAULTS, run: count }),
      await simulate({ seed: 4, faults: ALL_FAULTS, run: count }),
      await simulate({ seed: 5, faults: ALL_FAULTS, run: count }),
    ]
    expect(describeEvents(again.events)).toBe(describeEvents(one.events))
    expect(again).toEqual(one)
    expect(other.hash).not.toBe(one.hash)
    expect(one.events.length).toBeGreaterThan(5)
  })

  it('has every process done, in simulated time alone, and nothing left over', async () => {
    const report = await simulate({ seed: 1, faults: [], processes: 4, run: count })
    expect(report).toMatchObject({
      violations: [],
      grants: 20,
      guarantee: 'lease',
      lost: {},
      incidents: {},
      errors: {},
    })
    const writes = report.events.filter(event => event.kind === 'write')
    expect(writes.map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })

  it('finds that a process never ends', async () => {
    const { violations } = await simulate({ seed: 1, faults: [], run: () => new Promise(() => {}) })
    expect(violations.map(({ kind }) => kind)).toEqual(['stuck', 'stuck', 'stuck'])
  })

  it('finds an error that is none of Holdfast, and counts those that are', async () => {
    const run = async ({ index, backend }: SimulatedProcess): Promise<void> => {
      if (index === 0) throw new TypeError('x is not a function')
      await acquireLease(backend, 'r', { waitMs: 100, ttlMs: 86_400_000 })
      await new Promise<void>(resolve => backend.clock.setTimer(resolve, 5_000))
    }
    const report = await simulate({ seed: 1, faults: [], run })
    expect(report.violations).toEqual([{ kind: 'failed', why: 'p1 failed: TypeError: x is not a function.' }])
    expect(report.errors).toEqual({ HF_WAIT_TIMEOUT: 1 })
  })

  it('takes nobody for one who waits because an old question comes again, of seeds where that looked idle once', async () => {
    const run = async ({ backend, sleep }: SimulatedProcess): Promise<void> => {
      for (let round = 0; round < 5; round += 1) {
        const lease = await acquireLease(backend, 'r', { ttlMs: 2_000 })
        await sleep(50)
        await lease.release()
      }
    }
    for (const seed of [293, 641, 693, 1_404, 2_243]) {
      expect((await simulate({ seed, faults: ['duplicate', 'kill'], run })).violations).toEqual([])
    }
  })

  it('takes no lock for idle that others hold before one who waited for it gives up', async () => {
    const run = async ({ index, backend, sleep }: SimulatedProcess): Promise<void> => {
      const use = async (kind: 'read' | 'write', fromMs: number, lengthMs: number): Promise<void> => {
        await sleep(fromMs)
        const lease = await acquireLease(backend, 'r', { waitMs: 8_000 }, { kind })
        await sleep(lengthMs)
        await lease.release()
      }
      // The second reader ends soon, the first holds on; behind the writer, who waits in vain, comes a third one.
      if (index === 0) return use('read', 0, 20_000)
      if (index === 1) return use('read', 0, 1_000)
      if (index === 2) return use('write', 500, 0).catch(() => undefined)
      return use('read', 2_000, 0)
    }
    const report = await simulate({ seed: 1, faults: [], processes: 4, run })
    expect(report).toMatchObject({ violations: [], grants: 3 })
  })

  it.each([
    ['a least time, of what is done at once', { lockAtLeastForMs: 3_000 }, 0],
    ['the rest of a least time', { lockAtLeastForMs: 3_000 }, 700],
    ['a delay after a hold that is too long', { lockDelayMs: 4_000, renew: false }, 2_500],
    ['a delay after a hold that the end cuts off', { lockDelayMs: 4_000 }, Infinity],
  ])('waits at the end for what keeps others out on purpose: %s', async (_what, options, lengthMs) => {
    const run = async ({ backend, sleep }: SimulatedProcess): Promise<void> => {
      const lease = await acquireLease(backend, 'r', { ttlMs: 2_000, ...options })
      if (lengthMs === Infinity) return
      if (lengthMs > 0) await sleep(lengthMs)
      await lease.release()
    }
    const report = await simulate({ seed: 1, faults: [], processes: 1, run })
    expect(report.violations).toEqual([])
    expect(report.durationMs).toBeGreaterThan(3_000)
  })

  it('takes what its own check says for a violation, and has what was recorded', async () => {
    const { violations, events } = await simulate({
      seed: 1,
      processes: 1,
      run: async process => process.record('was here'),
      check: seen => seen.filter(event => event.kind === 'note').map(({ by, what }) => `${by} ${what}`),
    })
    expect(violations).toEqual([{ kind: 'check', why: 'p1 was here' }])
    expect(events).toMatchObject([{ kind: 'note', by: 'p1', what: 'was here' }])
  })

  it.each([
    [{ seed: -1 }, 'Expected `seed` to be an integer from 0 to 4294967295, got -1.'],
    [{ processes: 0 }, 'Expected `processes` to be an integer from 1 to 100, got 0.'],
    [{ faultsForMs: 0.5 }, 'Expected `faultsForMs` to be an integer from 0 to 3600000, got 0.5.'],
    [{ settleMs: 0 }, 'Expected `settleMs` to be an integer from 1 to 3600000, got 0.'],
    [{ run: undefined }, 'Expected `run` to be a function, got undefined.'],
    [{ check: 'x' }, 'Expected `check` to be a function, got "x".'],
    [{ faults: 'wipe' }, `Expected \`faults\` to be some of ${ALL_FAULTS.join(', ')}, got "wipe".`],
    [{ faults: ['storm'] }, `Expected \`faults\` to be some of ${ALL_FAULTS.join(', ')}, got "storm".`],
  ])('refuses %j in a sentence', async (options, message) => {
    const given = { seed: 1, run: count, ...options } as unknown as SimulationOptions
    await expect(simulate(given)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', message })
  })

  it('refuses an option that it does not know', async () => {
    const given = { seed: 1, run: count, runs: 3 } as unknown as SimulationOptions
    await expect(simulate(given)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})

describe('What is checked of a history', () => {
  const hold = (facts: Partial<SimulatedHold>): SimulatedHold => ({
    kind: 'hold',
    resource: 'r',
    holder: 'p1',
    mode: 'exclusive',
    token: 1n,
    acquiredAtMs: 0,
    validUntilMs: 10,
    end: 'released',
    ...facts,
  })
  const grant = (token: bigint, mode: 'exclusive' | 'read' | 'write' | 'permit' = 'exclusive'): SimulationEvent => ({
    kind: 'grant',
    atMs: Number(token),
    resource: 'r',
    to: `p#${token}`,
    mode,
    limit: mode === 'permit' ? 2 : undefined,
    slot: undefined,
    token,
  })
  const write = (token: bigint | undefined, basedOn: number | undefined, version: number): SimulationEvent => ({
    kind: 'write',
    atMs: 1,
    register: 's',
    by: 'p1',
    value: 7,
    lock: 'r',
    token,
    basedOn,
    version,
    outcome: 'accepted',
  })
  const kindsOf = (...events: SimulationEvent[]): string[] => checkEvents(events, 'lease').map(({ kind }) => kind)

  it('two holds that overlap, unless the store may forget', () => {
    const later = hold({ holder: 'p2', token: 2n, acquiredAtMs: 9, validUntilMs: 20 })
    expect(kindsOf(hold({}), later)).toContain('overlap')
    expect(checkEvents([hold({}), later], 'advisory')).toEqual([])
    expect(kindsOf(hold({}), { ...later, acquiredAtMs: 10 })).toEqual([])
  })

  it('a hold that was over when it was handed out is none', () => {
    expect(kindsOf(hold({}), hold({ holder: 'p2', token: 2n, acquiredAtMs: 5, validUntilMs: 5 }))).toEqual([])
  })

  it('readers beside readers are well, a writer beside them is not', () => {
    const reader = hold({ mode: 'read' })
    expect(kindsOf(reader, hold({ mode: 'read', holder: 'p2' }))).toEqual([])
    expect(kindsOf(reader, hold({ mode: 'write', holder: 'p2', token: 2n, acquiredAtMs: 5 }))).toContain('overlap')
  })

  it('two permits of one slot', () => {
    const permit = hold({ mode: 'permit', resource: 'r#0' })
    const other = { ...permit, holder: 'p2', token: 2n }
    expect(kindsOf(grant(1n, 'permit'), permit, { ...other, resource: 'r#1' })).toEqual([])
    expect(kindsOf(grant(1n, 'permit'), permit, other)).toEqual(['overlap'])
  })

  it('tokens that do not grow in the order of grants', () => {
    expect(kindsOf(grant(1n), grant(2n))).toEqual([])
    expect(kindsOf(grant(2n), grant(2n))).toEqual(['token'])
    expect(kindsOf(grant(2n), grant(1n))).toEqual(['token'])
    expect(kindsOf(grant(2n, 'write'), grant(2n, 'read'))).toEqual([])
    expect(kindsOf(grant(2n, 'write'), grant(1n, 'read'))).toEqual(['token'])
  })

  it('writes that a guard should have refused, and those of what was not read last', () => {
    expect(kindsOf(write(1n, 0, 0), write(2n, 1, 1))).toEqual([])
    expect(kindsOf(write(2n, 0, 0), write(1n, 1, 1))).toEqual(['stale-write'])
    expect(kindsOf(write(undefined, 0, 0), write(undefined, 0, 1))).toEqual(['lost-update'])
    expect(kindsOf(write(undefined, undefined, 3))).toEqual([])
  })
})
