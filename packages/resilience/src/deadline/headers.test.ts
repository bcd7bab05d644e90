import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { PRIORITIES } from '../call.ts'
import { callOptionsFromHeaders, headersOf } from './headers.ts'

const told: unknown[] = []
const hear = (message: unknown): void => void told.push(message)

afterEach(() => {
  unsubscribe('holdfast:resilience.event', hear)
  told.length = 0
})

describe('headers that carry a deadline and a priority', () => {
  it('come back as what was sent, in headers of fetch and of node:http', () => {
    const sent = headersOf({ remainingMs: 1_499.7, priority: 'low' })
    expect(sent).toEqual({ 'x-hf-deadline-ms': '1499', 'x-hf-priority': 'low' })
    expect(callOptionsFromHeaders(sent)).toEqual({ timeoutMs: 1_499, priority: 'low' })
    expect(callOptionsFromHeaders(new Headers(sent))).toEqual({ timeoutMs: 1_499, priority: 'low' })
  })

  it('say nothing where there is nothing to say', () => {
    expect(headersOf({ remainingMs: Infinity, priority: 'normal' })).toEqual({})
    expect(callOptionsFromHeaders({})).toEqual({})
    expect(callOptionsFromHeaders(new Headers())).toEqual({})
  })

  it('say that the time is over, which is not the same as no deadline', () => {
    expect(headersOf({ remainingMs: 0, priority: 'normal' })).toEqual({ 'x-hf-deadline-ms': '0' })
    expect(callOptionsFromHeaders({ 'x-hf-deadline-ms': '0' })).toEqual({ timeoutMs: 0 })
  })

  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['250m', 250],
    ['1500u', 2],
    ['1n', 1],
    ['0n', 0],
    ['99999999H', 2_147_483_647],
  ])('read grpc-timeout %s as %d ms', (text, timeoutMs) => {
    expect(callOptionsFromHeaders({ 'grpc-timeout': text })).toEqual({ timeoutMs })
  })

  it('take the shorter one of two deadlines', () => {
    const both = (own: string, grpc: string): unknown =>
      callOptionsFromHeaders({ 'x-hf-deadline-ms': own, 'grpc-timeout': grpc }).timeoutMs
    expect(both('100', '1S')).toBe(100)
    expect(both('5000', '1S')).toBe(1_000)
  })

  it.each([
    ['x-hf-deadline-ms', '-5'],
    ['x-hf-deadline-ms', '1.5'],
    ['x-hf-deadline-ms', '1e3'],
    ['x-hf-deadline-ms', '0x10'],
    ['x-hf-deadline-ms', ''],
    ['x-hf-deadline-ms', '100, 200'],
    ['x-hf-deadline-ms', '99999999999'],
    ['grpc-timeout', '100'],
    ['grpc-timeout', '123456789m'],
    ['grpc-timeout', '5s'],
    ['x-hf-priority', 'urgent'],
    ['x-hf-priority', 'toString'],
  ])('ignore %s: %j, and tell tools of it', (header, seen) => {
    subscribe('holdfast:resilience.event', hear)
    expect(callOptionsFromHeaders({ [header]: seen })).toEqual({})
    expect(told).toEqual([{ event: 'headerIgnored', policy: 'deadline', rule: 'deadline', header, seen }])
  })

  it('ignore a header that came twice', () => {
    expect(callOptionsFromHeaders({ 'x-hf-deadline-ms': ['100', '200'] })).toEqual({})
  })

  it('carry what a bad neighbour sends in bounds, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (own, grpc, priority) => {
        const options = callOptionsFromHeaders({
          'x-hf-deadline-ms': own,
          'grpc-timeout': grpc,
          'x-hf-priority': priority,
        })
        const { timeoutMs = 0 } = options
        expect(Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs <= 2_147_483_647).toBe(true)
        expect([undefined, ...PRIORITIES]).toContain(options.priority)
      }),
    )
  })
})
