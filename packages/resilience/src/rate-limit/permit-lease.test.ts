import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import { Call } from '../call.ts'
import { RejectedError } from '../errors.ts'
import { PermitLease } from './permit-lease.ts'

const TICKET = 3
const ROOM = { leaseMs: 100, atMost: 50, burst: 100 }

function callOf(cost: number): Call {
  const call = new Call(() => 1, { clock: new SimulatedClock() })
  call.cost = cost
  return call
}

function leaseWith(permits: number): PermitLease {
  const lease = new PermitLease('k', 1_000)
  lease.granted(permits, TICKET)
  return lease
}

const refusal = (): RejectedError =>
  new RejectedError({ policy: 'rateLimit', rule: 'r', ruleVersion: 1, reason: 'rate-limited' })

describe('PermitLease', () => {
  it('serves calls from what it holds', () => {
    const lease = leaseWith(3)
    expect(lease.tryTake(2)).toBe(true)
    expect(lease.tryTake(2)).toBe(false)
    expect(lease.permits).toBe(1)
  })

  it('lets nobody overtake a call that waits for more than there is', async () => {
    const lease = leaseWith(2)
    const waiting = lease.wait(callOf(5))
    expect(lease.tryTake(1)).toBe(false)
    expect(lease.wanted(ROOM, 1_001)).toEqual({ cost: 3, least: 3 })
    lease.granted(3, TICKET)
    expect(await waiting).toBe(TICKET)
    expect(lease.permits).toBe(0)
  })

  it('serves those for whom there is enough when the store refuses, and refuses the others', async () => {
    const lease = leaseWith(2)
    const dear = lease.wait(callOf(5)).catch((error: unknown) => (error as RejectedError).code)
    const cheap = lease.wait(callOf(2))
    lease.refuseWaiters(TICKET, refusal)
    expect(await dear).toBe('HF_REJECTED')
    expect(await cheap).toBe(TICKET)
  })

  it('asks for what lasts for a lease at the rate of late, and no more than its part', () => {
    const lease = leaseWith(10)
    for (let count = 0; count < 10; count++) lease.tryTake(1)
    expect(lease.wanted(ROOM, 1_050)).toEqual({ cost: 20, least: 1 })
    lease.granted(20, TICKET)
    for (let count = 0; count < 20; count++) lease.tryTake(1)
    expect(lease.wanted(ROOM, 1_060).cost).toBe(50)
    expect(lease.isLow).toBe(true)
  })

  it('gives back what it holds beyond the use of late, and all of it after a lease without use', () => {
    const lease = leaseWith(40)
    for (let count = 0; count < 10; count++) lease.tryTake(1)
    expect(lease.unused(100, 1_050)).toBe(0)
    expect(lease.unused(100, 1_100)).toBe(20)
    expect(lease.permits).toBe(10)
    expect(lease.unused(100, 1_200)).toBe(10)
    expect(lease.isIdle).toBe(true)
  })

  it('knows for how long there is not enough, for those who want as much', () => {
    const lease = leaseWith(1)
    lease.denied(5_000, 4, 1_000)
    expect(lease.deniedMs(5, 1_000)).toBe(100)
    expect(lease.deniedMs(4, 1_000)).toBe(0)
    expect(lease.deniedMs(5, 1_100)).toBe(0)
  })
})
