import { describe, expect, it } from 'vitest'
import { FencingToken } from '../../fencing/token.ts'
import type { Grant, LeaseRequest } from '../../ports/leases.ts'
import { Requests } from './requests.ts'
import { Scheduler } from './scheduler.ts'

const TTL_MS = 2_000

function placed(): { readonly requests: Requests; readonly pass: (ms: number) => Promise<void> } {
  const scheduler = new Scheduler()
  return { requests: new Requests(scheduler), pass: ms => scheduler.run(scheduler.nowMs + ms) }
}

const request: LeaseRequest = {
  resource: 'r',
  requestId: 'p1#1',
  ttlMs: TTL_MS,
  allowProvisional: true,
  meta: '{}',
}
const deadline = { remainingMs: (): number => TTL_MS }
const grant: Grant = { request, token: new FencingToken(1n), ttlMs: TTL_MS, deadline, isProvisional: false }

describe('What clients ask for', () => {
  it('is waited for from the question on, as far back as is asked', async () => {
    const { requests, pass } = placed()
    await pass(10)
    requests.asked('p1', request, TTL_MS)
    await pass(100)
    expect(requests.waitedMs('p1#1', 0)).toBe(100)
    expect(requests.waitedMs('p1#1', 90)).toBe(20)
  })

  it.each([
    ['its client has it or has given up', (requests: Requests) => requests.settled(request)],
    ['its client dies', (requests: Requests) => requests.killed('p1')],
  ])('is waited for no more once %s', async (_what, end) => {
    const { requests, pass } = placed()
    requests.asked('p1', request, TTL_MS)
    requests.asked('p2', { ...request, requestId: 'p2#1' }, TTL_MS)
    await pass(100)
    end(requests)
    await pass(100)
    requests.killed('p1')
    expect(requests.waitedMs('p1#1', 0)).toBe(100)
    expect(requests.waitedMs('p1#1', 150)).toBeLessThanOrEqual(0)
    expect(requests.waitedMs('p2#1', 0)).toBe(200)
    expect(requests.waitedMs('p3#1', 0)).toBe(0)
  })

  it.each([
    ['a renewal for less than was asked for', 500, 300, 805],
    ['a renewal for all of it at once', TTL_MS, 0, 2_020],
    ['no renewal for all of it later', TTL_MS, 300, 0],
  ])('is left in the store on purpose by %s', async (_what, ttlMs, afterMs, untilMs) => {
    const { requests, pass } = placed()
    requests.asked('p1', request, TTL_MS)
    requests.settled(request)
    await pass(afterMs)
    requests.renewing(grant, ttlMs, TTL_MS)
    expect(requests.restsUntilMs).toBeCloseTo(untilMs)
  })

  it('is left no more once it was released, or renewed for all of its time', () => {
    const { requests } = placed()
    requests.renewing(grant, 500, TTL_MS)
    requests.releasing(grant)
    expect(requests.restsUntilMs).toBe(0)
  })
})
