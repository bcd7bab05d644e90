import { describe, expect, it } from 'vitest'
import { bulkhead } from './bulkhead/bulkhead.ts'
import { circuitBreaker } from './breaker/circuit-breaker.ts'
import { retry } from './retry/retry.ts'
import { timeout } from './timeout/timeout.ts'

describe('what all policies are given', () => {
  it.each([
    ['clock', 5, () => bulkhead({ limit: 1, clock: 5 as never })],
    ['clock', {}, () => timeout({ timeoutMs: 5, clock: {} as never })],
    ['random', 'dice', () => retry({ random: 'dice' as never })],
    ['clock', null, () => circuitBreaker({ clock: null as never })],
  ])('is refused at once where `%s` is %o', (name, _given, make) => {
    expect(make).toThrow(`Expected \`${name}\` to be a ${name === 'clock' ? 'Clock' : 'Random'}, got`)
  })

  it.each([
    [{ mode: 'on' }, "Expected `mode` to be 'enforce', 'shadow' or 'off', got \"on\"."],
    [{ name: '' }, 'Expected `name` to be a name of 1 to 200 bytes of UTF-8, got "".'],
    [{ retries: 3 }, 'Unknown option `retries` of retry'],
  ])('is refused where it is %o', (options, message) => {
    expect(() => retry(options as never)).toThrow(message)
  })
})
