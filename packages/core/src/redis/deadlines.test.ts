import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import type { Expiring } from './deadlines.ts'
import { CommandDeadlines } from './deadlines.ts'

const TIMEOUT_MS = 2_000

let clock: SimulatedClock
let deadlines: CommandDeadlines
let expired: string[]

beforeEach(() => {
  clock = new SimulatedClock({ monotonicMs: 0 })
  deadlines = new CommandDeadlines(clock, TIMEOUT_MS)
  expired = []
})

function started(name: string): Expiring {
  const command = {
    endsAtMs: deadlines.next(),
    expire: (): void => void expired.push(`${name} at ${clock.monotonicMs()}`),
  }
  deadlines.add(command)
  return command
}

describe('The deadlines of commands', () => {
  it('end a command when its time is over, not before', async () => {
    started('a')
    await clock.advance(TIMEOUT_MS - 1)
    expect(expired).toEqual([])
    await clock.advance(1)
    expect(expired).toEqual(['a at 2000'])
  })

  it('end each at its own time, with one timer for all', async () => {
    started('a')
    await clock.advance(500)
    started('b')
    started('c')
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(TIMEOUT_MS)
    expect(expired).toEqual(['a at 2000', 'b at 2500', 'c at 2500'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('end those that may take less long in their own time, before or after others that came sooner', async () => {
    started('a')
    await clock.advance(100)
    const short = { timeoutMs: 25, endsAtMs: deadlines.next(25), expire: () => void expired.push('short at 125') }
    deadlines.add(short)
    const answered = { timeoutMs: 25, endsAtMs: deadlines.next(25), expire: () => void expired.push('answered') }
    deadlines.add(answered)
    const long = { timeoutMs: 5_000, endsAtMs: deadlines.next(5_000), expire: () => void expired.push('long') }
    deadlines.add(long)
    deadlines.remove(answered)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(25)
    expect(expired).toEqual(['short at 125'])
    await clock.advance(TIMEOUT_MS)
    expect(expired).toEqual(['short at 125', 'a at 2000'])
    await clock.advance(5_000)
    expect([expired, clock.pendingTimers]).toEqual([['short at 125', 'a at 2000', 'long'], 0])
  })

  it('let in what was answered during a stall also when a shorter one comes meanwhile', async () => {
    const answered = started('answered')
    clock.stall(10_000)
    await clock.advance(0)
    deadlines.add({ timeoutMs: 5, endsAtMs: deadlines.next(5), expire: () => void expired.push('short') })
    await clock.advance(10)
    expect(expired).toEqual([])
    deadlines.remove(answered)
    await clock.advance(40)
    expect(expired).toEqual(['short'])
  })

  it('let in what was answered during a hitch, and then wait only a little for those that may take 25 ms', async () => {
    const short = (name: string): Expiring => {
      const command = { timeoutMs: 25, endsAtMs: deadlines.next(25), expire: () => void expired.push(name) }
      deadlines.add(command)
      return command
    }
    const answered = short('answered')
    short('silent')
    clock.stall(40)
    await clock.advance(0)
    expect(expired).toEqual([])
    deadlines.remove(answered)
    await clock.advance(5)
    expect(expired).toEqual(['silent'])
  })

  it('forget what was answered', async () => {
    deadlines.remove(started('a'))
    const b = started('b')
    await clock.advance(TIMEOUT_MS - 1)
    deadlines.remove(b)
    await clock.advance(1)
    expect([expired, clock.pendingTimers]).toEqual([[], 0])
  })

  it('do not count what came after a command that was answered as if it had come with it', async () => {
    deadlines.remove(started('a'))
    await clock.advance(1_500)
    started('b')
    await clock.advance(500)
    expect(expired).toEqual([])
    await clock.advance(1_500)
    expect(expired).toEqual(['b at 3500'])
  })

  it('end all that are due after a stall of the event loop, but first let the answers in that came meanwhile', async () => {
    started('a')
    await clock.advance(100)
    started('b')
    const answered = started('c')
    clock.stall(10_000)
    await clock.advance(0)
    expect(expired).toEqual([])
    deadlines.remove(answered)
    await clock.advance(50)
    expect(expired).toEqual(['a at 10150', 'b at 10150'])
  })

  it('end what is due on an event loop that is always late (seen: a black hole, and commands that never ended)', async () => {
    started('a')
    for (let turn = 0; turn < 30 && expired.length === 0; turn += 1) {
      clock.stall(110)
      await clock.advance(0)
    }
    expect(expired).toEqual(['a at 2200'])
  })

  it('take a command that is started by one that is ended', async () => {
    deadlines.add({ endsAtMs: deadlines.next(), expire: () => void started('again') })
    await clock.advance(TIMEOUT_MS)
    expect(expired).toEqual([])
    await clock.advance(TIMEOUT_MS)
    expect(expired).toEqual(['again at 4000'])
  })

  it('end all at once when they are closed, and leave no timer', () => {
    started('a')
    started('b')
    deadlines.close()
    expect([expired, clock.pendingTimers]).toEqual([['a at 0', 'b at 0'], 0])
  })

  it('do not hold the process', () => {
    started('a')
    expect(clock.holdingTimers).toBe(0)
  })

  it('end every command exactly at its time, unless it was answered before, whatever the order', async () => {
    const action = fc.record({ waitMs: fc.nat(3_000), answerAfterMs: fc.option(fc.nat(4_000)) })
    const property = fc.asyncProperty(fc.array(action, { maxLength: 30 }), async actions => {
      clock = new SimulatedClock({ monotonicMs: 0 })
      deadlines = new CommandDeadlines(clock, TIMEOUT_MS)
      expired = []
      const expected: string[] = []
      let atMs = 0
      for (const [index, { waitMs, answerAfterMs }] of actions.entries()) {
        atMs += waitMs
        clock.setTimer(() => {
          const command = started(`${index}`)
          if (answerAfterMs !== null) clock.setTimer(() => deadlines.remove(command), answerAfterMs)
        }, atMs)
        if (answerAfterMs === null || answerAfterMs > TIMEOUT_MS) expected.push(`${index} at ${atMs + TIMEOUT_MS}`)
      }
      await clock.advance(atMs + 10_000)
      // At the very instant of its end it may be either.
      const isTie = (line: string): boolean => actions[Number(line.split(' ')[0])]?.answerAfterMs === TIMEOUT_MS
      expect(expired.filter(line => !isTie(line))).toEqual(expected)
      expect(clock.pendingTimers).toBe(0)
    })
    await fc.assert(property, { seed: 11, numRuns: 30 })
  })
})
