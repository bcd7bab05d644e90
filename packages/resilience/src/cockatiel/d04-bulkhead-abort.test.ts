import { describe, expect, test } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { COCKATIELS, openEnded, settledOf } from './cockatiels.fixture.ts'

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: a call that is given up in the queue goes on waiting, and keeps its place.', async () => {
    const policy = cockatiel.bulkhead(1, 1)
    const first = openEnded()
    const running = policy.execute(first.work)
    const controller = new AbortController()
    const waiting = policy.execute(() => 'in', controller.signal)
    controller.abort()
    expect(await settledOf([waiting])).toBe(0)
    expect(policy.queueSlots).toBe(0)
    first.finish()
    await Promise.allSettled([running, waiting])
  })
})

test('D4: a call that is given up in the queue ends at once with the reason of its caller, and leaves its place.', async () => {
  const policy = bulkhead({ limit: 1, queue: 1 })
  const first = openEnded()
  const running = policy.execute(first.work)
  const controller = new AbortController()
  const waiting = policy.execute(() => 'in', controller.signal)
  const reason = new Error('the user left')
  controller.abort(reason)
  expect(policy.queueSlots).toBe(1)
  expect(await settledOf([waiting])).toBe(1)
  await expect(waiting).rejects.toBe(reason)
  first.finish()
  await running
})
