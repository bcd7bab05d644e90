import type { Clock, Timer } from '@holdfast/core'
import { seededRandom } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import type { Priority } from '../call.ts'
import { PRIORITIES } from '../call.ts'
import { pipeline } from '../pipeline.ts'
import type { LoadSample, LoadSource } from './load-monitor.ts'
import { LoadMonitor } from './load-monitor.ts'
import { ownTurn } from './own-turn.ts'
import type { ShedOptions } from './shed.ts'
import { shed } from './shed.ts'

class ScriptedLoad implements LoadSource {
  now: LoadSample = { loopDelayMs: 0, cpuRatio: 0 }
  isClosed = false

  sample(): LoadSample {
    return this.now
  }

  close(): void {
    this.isClosed = true
  }
}

function stage(options: ShedOptions = {}) {
  const clock = new SimulatedClock()
  const load = new ScriptedLoad()
  const monitor = new LoadMonitor(clock, () => load)
  const policy = shed({ clock, monitor, random: seededRandom(7), ...options })
  const served = async (priority: Priority, key?: string): Promise<boolean> => {
    try {
      return await policy.execute(() => true, { priority, ...(key === undefined ? {} : { key }) })
    } catch {
      return false
    }
  }
  const round = async (calls = 100): Promise<Record<Priority, number>> => {
    const counts = Object.fromEntries(PRIORITIES.map(priority => [priority, 0])) as Record<Priority, number>
    for (const priority of PRIORITIES) {
      for (let call = 0; call < calls; call += 1) if (await served(priority, `user-${call}`)) counts[priority] += 1
    }
    return counts
  }
  return { clock, load, policy, served, round }
}

describe('shed', () => {
  it('refuses nothing while there is no delay, whatever the CPU says', async () => {
    const { clock, load, round, policy } = stage()
    load.now = { loopDelayMs: 15, cpuRatio: 0.9 }
    await clock.advance(5_000)
    expect(Object.values(await round())).toEqual([100, 100, 100, 100, 100])
    expect(policy.pressure).toBe(0)
  })

  it('refuses low priorities first while the loop is slow, and serves all again when it is not', async () => {
    const { clock, load, round, policy } = stage()
    await round()
    load.now = { loopDelayMs: 40, cpuRatio: 0.5 }
    await clock.advance(500)
    const during = await round()
    expect(policy.pressure).toBeGreaterThan(0.3)
    expect(during.critical).toBe(100)
    expect(during.background).toBe(0)
    for (const [index, priority] of PRIORITIES.slice(1).entries()) {
      expect(during[priority]).toBeLessThanOrEqual(during[PRIORITIES[index]!])
    }
    load.now = { loopDelayMs: 1, cpuRatio: 0.5 }
    await clock.advance(4_000)
    expect(Object.values(await round())).toEqual([100, 100, 100, 100, 100])
  })

  it('aims at half the delay while the CPU is used up', async () => {
    const { clock, load, policy } = stage()
    load.now = { loopDelayMs: 15, cpuRatio: 0.97 }
    await clock.advance(1_000)
    expect(policy.pressure).toBeGreaterThan(0)
  })

  it('serves or refuses a user of one priority as before, not by chance', async () => {
    const { clock, load, served, round } = stage()
    await round()
    load.now = { loopDelayMs: 60, cpuRatio: 0.5 }
    await clock.advance(300)
    const first = await Promise.all(Array.from({ length: 50 }, (_, user) => served('low', `user-${user}`)))
    const again = await Promise.all(Array.from({ length: 50 }, (_, user) => served('low', `user-${user}`)))
    expect(again).toEqual(first)
  })

  it('says why it refuses, and when to come again', async () => {
    const { clock, load, policy, round } = stage({ name: 'front' })
    await round()
    load.now = { loopDelayMs: 400, cpuRatio: 1 }
    await clock.advance(2_000)
    await expect(policy.execute(() => 1, { priority: 'background' })).rejects.toMatchObject({
      code: 'HF_REJECTED',
      rejection: { policy: 'shed', rule: 'front', reason: 'shed', retryAfterMs: 1_000 },
    })
    expect(policy.describe().refused).toBeGreaterThan(0)
  })

  it('only counts in shadow', async () => {
    const { clock, load, policy, round } = stage({ mode: 'shadow' })
    await round()
    load.now = { loopDelayMs: 400, cpuRatio: 1 }
    await clock.advance(2_000)
    expect(Object.values(await round())).toEqual([100, 100, 100, 100, 100])
    expect(policy.describe()).toMatchObject({ refused: 0, mode: 'shadow' })
    expect(policy.describe().wouldRefuse).toBeGreaterThan(0)
  })

  it('closes what it measures with when nobody uses it any more', async () => {
    const { clock, load, policy } = stage()
    await clock.advance(200)
    policy.close()
    expect(load.isClosed).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  it.each([
    [{ targetDelayMs: 0 }, 'Expected `targetDelayMs` to be an integer from 1 to 2147483647 (milliseconds), got 0.'],
    [{ cpuRatioMax: 2 }, 'Expected `cpuRatioMax` to be a number from 0 to 1, got 2.'],
    [{ target: 5 }, 'Unknown option `target` of shed'],
  ])('refuses %o', (options, message) => {
    expect(() => shed(options as ShedOptions)).toThrow(message)
  })
})

/** Time that moves without the loop taking a turn, unlike that of `SimulatedClock`. */
class StillClock implements Clock {
  #nowMs = 0
  #timers: { readonly atMs: number; readonly run: () => void }[] = []

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  setTimer(run: () => void, delayMs: number): Timer {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter(other => other !== timer)) }
  }

  pass(ms: number): void {
    this.#nowMs += ms
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs)
    this.#timers = this.#timers.filter(timer => !due.includes(timer))
    for (const { run } of due) run()
  }
}

describe('shed with turns', () => {
  it('holds a standing queue at its target, and lets a burst pass', async () => {
    const clock = new StillClock()
    const monitor = new LoadMonitor(clock, () => new ScriptedLoad())
    const shedder = shed({ clock, monitor, random: seededRandom(7) })
    const policy = pipeline(shedder, ownTurn({ clock }))
    const running: Promise<string>[] = []
    const ask = (): void => {
      running.push(policy.execute(() => 'done').catch((error: { code: string }) => error.code))
    }
    const turn = async (): Promise<void> => {
      clock.pass(5)
      await new Promise(resolve => setImmediate(resolve))
    }
    // A burst: 200 ms of work at once may wait.
    for (let call = 0; call < 30; call += 1) ask()
    for (let step = 0; step < 40; step += 1) await turn()
    expect(await Promise.all(running)).toEqual(Array.from({ length: 30 }, () => 'done'))
    // Three calls come in the time of one, for 5 s.
    running.length = 0
    for (let step = 0; step < 1_000; step += 1) {
      for (let call = 0; call < 3; call += 1) ask()
      await turn()
    }
    const { state } = shedder.describe()
    expect(state['hasStandingQueue']).toBe(true)
    expect(state['queueWaitMs']).toBeLessThan(40)
    for (let step = 0; step < 300; step += 1) await turn()
    const ends = await Promise.all(running)
    expect(ends.filter(end => end === 'done').length).toBeGreaterThan(900)
    expect(ends.filter(end => end === 'HF_REJECTED').length).toBeGreaterThan(1_800)
  })

  it('refuses what waited for its turn beyond its deadline, and forgets what was aborted meanwhile', async () => {
    const clock = new StillClock()
    const policy = ownTurn({ clock })
    const began: string[] = []
    const abort = new AbortController()
    const late = policy.execute(() => began.push('late'), { timeoutMs: 10 })
    const aborted = policy.execute(() => began.push('aborted'), { signal: abort.signal })
    const fine = policy.execute(() => began.push('fine'))
    abort.abort(new Error('gone'))
    await expect(aborted).rejects.toThrow('gone')
    clock.pass(11)
    await expect(late).rejects.toMatchObject({ rejection: { reason: 'deadline' } })
    await fine
    expect(began).toEqual(['fine'])
  })

  it('passes on what the work throws, at once or later', async () => {
    const policy = pipeline(ownTurn(), ownTurn())
    await expect(
      policy.execute(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    await expect(policy.execute(async () => await Promise.reject(new Error('later')))).rejects.toThrow('later')
  })
})
