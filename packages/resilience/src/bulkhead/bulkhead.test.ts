import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { expect, test } from 'vitest'
import type { Rejection } from '../errors.ts'
import { pipeline } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import type { Mode } from '../stage.ts'
import { bulkhead } from './bulkhead.ts'

interface Running {
  readonly result: Promise<unknown>
  isBegun: boolean
  finish(): void
}

/** A call that runs until it is told to finish. */
function begin(policy: Policy, options: { signal?: AbortSignal; timeoutMs?: number } = {}): Running {
  let finish = (): void => {}
  const until = new Promise<void>(resolve => (finish = resolve))
  const running = { isBegun: false, finish: () => finish() }
  const work = (): Promise<void> => {
    running.isBegun = true
    return until
  }
  const result = policy.execute(work, options)
  result.catch(() => undefined)
  return Object.assign(running, { result })
}

async function turn(): Promise<void> {
  await new Promise(resolve => void setImmediate(resolve))
}

function reasonOf(error: unknown): Rejection {
  return (error as { rejection: Rejection }).rejection
}

test('As many calls run as there are slots, as many wait as there is room, and the rest are refused with the facts.', async () => {
  const policy = bulkhead({ limit: 2, queue: 1, name: 'stock' })
  const calls = [begin(policy), begin(policy), begin(policy)]
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, false])
  expect([policy.executionSlots, policy.queueSlots]).toEqual([0, 0])
  const error = await policy.execute(() => 'in').catch((thrown: unknown) => thrown)
  expect(reasonOf(error)).toEqual({
    policy: 'bulkhead',
    rule: 'stock',
    ruleVersion: 1,
    reason: 'queue-full',
    limit: 2,
    inFlight: 2,
  })
  for (const call of calls) call.finish()
  await Promise.all(calls.map(({ result }) => result))
  expect([policy.executionSlots, policy.queueSlots]).toEqual([2, 1])
})

test('A slot is handed over in the moment when it comes free: a call that arrives then does not overtake.', async () => {
  const policy = bulkhead({ limit: 1, queue: 1 })
  const [first, second] = [begin(policy), begin(policy)]
  first.finish()
  // One microtask after the other, a call tries to get in before the one that waits.
  const intruders: Running[] = []
  for (let tries = 0; tries < 20; tries++) {
    intruders.push(begin(policy))
    await Promise.resolve()
    expect(intruders.some(({ isBegun }) => isBegun)).toBe(false)
  }
  expect(second.isBegun).toBe(true)
  second.finish()
  await second.result
})

test('A call that is given up while it waits ends at once, by the reason of its caller, and its place is free.', async () => {
  const policy = bulkhead({ limit: 1, queue: 2 })
  const controller = new AbortController()
  const [first, given, last] = [begin(policy), begin(policy, { signal: controller.signal }), begin(policy)]
  expect(policy.queueSlots).toBe(0)
  const reason = new Error('the user left')
  controller.abort(reason)
  expect(policy.queueSlots).toBe(1)
  await expect(given.result).rejects.toBe(reason)
  first.finish()
  await turn()
  expect([given.isBegun, last.isBegun]).toEqual([false, true])
  last.finish()
  await last.result
  expect(policy.executionSlots).toBe(1)
})

test('A call that is given up around the moment when it gets a slot keeps none.', async () => {
  for (let microtasks = 0; microtasks < 12; microtasks++) {
    const policy = bulkhead({ limit: 1, queue: 1 })
    const controller = new AbortController()
    const [first, second] = [begin(policy), begin(policy, { signal: controller.signal })]
    first.finish()
    for (let count = 0; count < microtasks; count++) await Promise.resolve()
    controller.abort(new Error('too late'))
    second.finish()
    await Promise.allSettled([first.result, second.result])
    expect(policy.executionSlots).toBe(1)
  }
})

test('Nobody waits longer than `queueMs`.', async () => {
  const clock = new SimulatedClock()
  const policy = bulkhead({ limit: 1, queue: 1, queueMs: 100, clock })
  const [first, second] = [begin(policy), begin(policy)]
  await clock.advance(99)
  expect(policy.queueSlots).toBe(0)
  await clock.advance(11)
  expect(policy.queueSlots).toBe(1)
  expect(reasonOf(await second.result.catch((thrown: unknown) => thrown))).toMatchObject({ reason: 'queue-timeout' })
  first.finish()
  await first.result
  await clock.advance(100)
  expect(clock.pendingTimers).toBe(0)
})

test('A call whose time is over while it waits leaves the queue, and is not begun.', async () => {
  const clock = new SimulatedClock()
  const policy = bulkhead({ limit: 1, queue: 2, clock })
  const [first, second] = [begin(policy), begin(policy, { timeoutMs: 50 })]
  await clock.advance(70)
  await expect(second.result).rejects.toMatchObject({ code: 'HF_TIMEOUT' })
  expect(policy.queueSlots).toBe(2)
  // With the event loop busy the timer is late, and the slot comes first.
  const third = begin(policy, { timeoutMs: 50 })
  const fourth = begin(policy)
  clock.stall(60)
  first.finish()
  await turn()
  expect(reasonOf(await third.result.catch((thrown: unknown) => thrown))).toMatchObject({ reason: 'deadline' })
  expect([second.isBegun, third.isBegun, fourth.isBegun]).toEqual([false, false, true])
  fourth.finish()
  await fourth.result
})

test('A raised limit lets in those who wait, at once; a lowered one cuts nobody off.', async () => {
  const limit = new LiveValue(1)
  const queue = new LiveValue(4)
  const policy = bulkhead({ limit, queue })
  const calls = [1, 2, 3, 4, 5].map(() => begin(policy))
  limit.set(3)
  await turn()
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, true, false, false])
  limit.set(1)
  queue.set(0)
  expect([policy.executionSlots, policy.queueSlots]).toEqual([0, 0])
  calls[0]?.finish()
  calls[1]?.finish()
  await turn()
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, true, false, false])
  calls[2]?.finish()
  await turn()
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, true, true, false])
  for (const call of calls) call.finish()
  await Promise.all(calls.map(({ result }) => result))
  expect(policy.describe().state).toEqual({ inFlight: 0, limit: 1, queued: 0, queue: 0 })
})

test('A limit that is refused leaves the one before in force.', () => {
  const limit = new LiveValue(1)
  const policy = bulkhead({ limit })
  limit.set(0)
  expect(policy.executionSlots).toBe(1)
  expect(policy.describe().ruleRefusal).toBe('Expected `limit` to be an integer from 1 to 1000000, got 0.')
})

test('In shadow it counts whom it would keep waiting or refuse, and keeps nobody.', async () => {
  const policy = bulkhead({ limit: 1, queue: 1, mode: 'shadow' })
  const rejections: Rejection[] = []
  policy.onReject(rejection => rejections.push(rejection))
  const calls = [begin(policy), begin(policy), begin(policy)]
  await turn()
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, true])
  for (const call of calls) call.finish()
  await Promise.all(calls.map(({ result }) => result))
  expect(policy.describe()).toMatchObject({ admitted: 1, refused: 0, wouldRefuse: 2, state: { inFlight: 0 } })
  expect(rejections).toEqual([])
})

test('Who waits is let in when it is switched off.', async () => {
  const mode = new LiveValue<Mode>('enforce')
  const policy = bulkhead({ limit: 1, queue: 2, mode })
  const calls = [begin(policy), begin(policy), begin(policy)]
  mode.set('off')
  await turn()
  expect(calls.map(({ isBegun }) => isBegun)).toEqual([true, true, true])
  for (const call of calls) call.finish()
  await Promise.all(calls.map(({ result }) => result))
  expect(policy.executionSlots).toBe(1)
})

test('A slot that another gate made useless is handed on.', async () => {
  const [outer, inner] = [bulkhead({ limit: 1, queue: 2 }), bulkhead({ limit: 1 })]
  const both = pipeline(outer, inner)
  const blocking = begin(inner)
  await expect(both.execute(() => 'in')).rejects.toThrow('all slots and the queue are full')
  expect(outer.executionSlots).toBe(1)
  const first = begin(outer)
  const refused = begin(both)
  const waiting = begin(outer)
  first.finish()
  await expect(refused.result).rejects.toThrow('all slots and the queue are full')
  await turn()
  expect([refused.isBegun, waiting.isBegun]).toEqual([false, true])
  waiting.finish()
  await waiting.result
  blocking.finish()
  await blocking.result
  expect(await both.execute(() => 'in')).toBe('in')
})

test('Its events tell of ends and of refusals.', async () => {
  const policy = bulkhead({ limit: 1 })
  const told: string[] = []
  policy.onSuccess(() => told.push('success'))
  policy.onFailure(() => told.push('failure'))
  const listening = policy.onReject(({ reason }) => told.push(reason))
  const first = begin(policy)
  await policy.execute(() => 'in').catch(() => undefined)
  listening.dispose()
  await policy.execute(() => 'in').catch(() => undefined)
  first.finish()
  await first.result
  expect(told).toEqual(['queue-full', 'failure', 'failure', 'success'])
})

test('What cannot work is refused when it is made, with the value seen.', () => {
  expect(() => bulkhead({ limit: 0 })).toThrow('Expected `limit` to be an integer from 1 to 1000000, got 0.')
  expect(() => bulkhead({ limit: 1, queue: -1 })).toThrow(
    'Expected `queue` to be an integer from 0 to 1000000, got -1.',
  )
  expect(() => bulkhead({ limit: 1, queueMs: 0.5 })).toThrow('got 0.5')
  expect(() => bulkhead({ limit: 1, que: 1 } as never)).toThrow('Unknown option `que` of bulkhead')
  expect(() => bulkhead({} as never)).toThrow('Expected `limit`')
})
