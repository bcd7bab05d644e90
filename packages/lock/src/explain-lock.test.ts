import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { FencingToken } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { expect, it } from 'vitest'
import type { LockInfo } from './index.ts'
import { createLocks, explainLock } from './index.ts'

it('says who holds a lock, since when, and who waits', async () => {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const [ours, others] = [
    createLocks({ backend: memoryBackend({ world }) }),
    createLocks({ backend: memoryBackend({ world }) }),
  ]
  expect(explainLock(await ours.inspect('stock:42'))).toBe('"stock:42" is free.')
  const lease = await ours.acquire('stock:42', { meta: { host: 'a', pid: '7' }, ttlMs: 30_000 })
  const waits = others.acquire('stock:42', { meta: { host: 'b' }, waitMs: 60_000 })
  await clock.advance(3_200)
  expect(explainLock(await ours.inspect('stock:42')).split('\n')).toEqual([
    '"stock:42" is held:',
    `  by host a, pid 7 (for 3.2 s, 26.8 s left if it is not renewed, token ${lease.token.toString()})`,
    '1 waits:',
    '  1. host b',
  ])
  await lease.release()
  await (await waits).release()
})

it('keeps what a holder says of itself on its line', async () => {
  const locks = createLocks({ backend: memoryBackend() })
  const lease = await locks.acquire('stock:42', { meta: { host: 'a\n"stock:43" is free.\u2028\u001b[31m' } })
  expect(explainLock(await locks.inspect('stock:42')).split('\n')).toEqual([
    '"stock:42" is held:',
    expect.stringContaining('by host a "stock:43" is free. [31m (for') as unknown,
  ])
  await lease.release()
})

it('says how each of many holds it, and counts those who are too many to tell', () => {
  const token = new FencingToken(5n)
  const holder = {
    requestId: 'r',
    mode: 'permit',
    token,
    slot: 3,
    meta: {},
    heldMs: undefined,
    remainingMs: undefined,
  } as const
  const waiters = Array.from(
    { length: 12 },
    (_, index) => ({ requestId: 'w', mode: 'read', meta: { at: `${index}` } }) as const,
  )
  const info: LockInfo = { resource: 'pool', holder, holders: [holder], waiters }
  const lines = explainLock(info).split('\n')
  expect(lines.slice(0, 4)).toEqual([
    '"pool" is held:',
    `  by somebody who says nothing of itself (permit, slot 3, token ${token.toString()})`,
    '12 wait:',
    '  1. at 0 (read)',
  ])
  expect([lines.length, lines.at(-1)]).toEqual([14, '  and 2 more'])
})

it('refuses what `inspect` did not answer, and asks for the await that was forgotten', () => {
  const explain = explainLock as (info?: unknown) => string
  const asked = createLocks({ backend: memoryBackend() }).inspect('stock:42')
  const expected = 'Expected explainLock to be given what `inspect` answered, got'
  expect(() => explain(asked)).toThrow(`${expected} a promise (did you forget await?).`)
  expect(() => explain()).toThrow(`${expected} undefined.`)
  for (const other of [null, 5, 'stock:42', {}, [], { holders: [] }]) {
    expect(() => explain(other)).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
  }
})
