import { describe, expect, it } from 'vitest'
import type { Deadline } from './deadline.ts'
import { RenewalOrder } from './renewal-order.ts'

const until = (ms: number): Deadline => ({ remainingMs: () => ms })
const leftOf = (deadline: Deadline | undefined): number | undefined => deadline?.remainingMs()

describe('Renewals of one lease that are under way at once', () => {
  it('count by their answers when each is answered before the next is sent', () => {
    const order = new RenewalOrder()
    expect(leftOf(order.answered(order.sent(until(10)), until(9)))).toBe(9)
    expect(leftOf(order.answered(order.sent(until(50)), until(49)))).toBe(49)
  })

  it('count no longer than any that was sent later and may be the one that the store goes by', () => {
    const order = new RenewalOrder()
    const first = order.sent(until(50))
    order.sent(until(10))
    const last = order.sent(until(90))
    expect(leftOf(order.answered(first, until(49)))).toBe(10)
    expect(leftOf(order.answered(last, until(89)))).toBe(89)
  })

  it('say nothing once a later one was answered', () => {
    const order = new RenewalOrder()
    const [first, last] = [order.sent(until(50)), order.sent(until(10))]
    expect(leftOf(order.answered(last, until(9)))).toBe(9)
    expect(order.answered(first, until(49))).toBeUndefined()
  })

  it('count as the first of all when they were sent before any that has a number', () => {
    const order = new RenewalOrder()
    order.sent(until(10))
    expect(leftOf(order.answered(0, until(50)))).toBe(10)
  })
})
