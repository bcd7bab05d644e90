import { isBrokenCircuitError, BrokenCircuitError, TaskCancelledError } from 'cockatiel-4'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Rejection } from '../errors.ts'
import { InFlightError, KeyReusedError, REASON_TEXT, rejected, timedOut } from '../errors.ts'
import type { HttpAnswer } from './rejection-response.ts'
import { rejectionResponse } from './rejection-response.ts'

function answerTo(rejection: Partial<Rejection>): HttpAnswer {
  const whole: Rejection = { policy: 'p', rule: 'orders', ruleVersion: 1, reason: 'rate-limited', ...rejection }
  const answer = rejectionResponse(rejected(whole))
  if (answer === undefined) throw new Error('Expected an answer to a rejection.')
  return answer
}

describe('the answer to a refusal', () => {
  it('of a quota is 429, and says which, how much and until when', () => {
    const answer = answerTo({ limit: 100, periodMs: 60_000, retryAfterMs: 6_100, key: 'acme', inFlight: 3 })
    expect(answer.status).toBe(429)
    expect(answer.headers).toEqual({
      'Content-Type': 'application/problem+json',
      'Retry-After': '7',
      'RateLimit-Policy': '"orders";q=100;w=60',
      RateLimit: '"orders";r=0;t=7',
    })
    expect(JSON.parse(answer.body)).toEqual({
      type: 'urn:holdfast:problem:rate-limited',
      title: 'Too Many Requests',
      status: 429,
      detail: 'It was not begun: its quota is used up.',
      reason: 'rate-limited',
      limit: 100,
      periodMs: 60_000,
      retryAfterMs: 6_100,
    })
  })

  it('of a deadline is 504, and says nothing of later', () => {
    const { status, headers } = answerTo({ reason: 'deadline' })
    expect(status).toBe(504)
    expect(headers).toEqual({ 'Content-Type': 'application/problem+json' })
  })

  it('of a store that is away is never 429', () => {
    expect(answerTo({ reason: 'store-unavailable', limit: 5 })).toMatchObject({
      status: 503,
      headers: { 'Retry-After': '1' },
    })
  })

  it('always has a status of 429, 503 or 504, and `Retry-After` of at least 1 with each 429 and 503', () => {
    const reasons = Object.keys(REASON_TEXT) as (keyof typeof REASON_TEXT)[]
    const afterMs = fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), { nil: undefined })
    fc.assert(
      fc.property(fc.constantFrom(...reasons), afterMs, (reason, retryAfterMs) => {
        const { status, headers, body } = answerTo({ reason, retryAfterMs })
        expect([429, 503, 504]).toContain(status)
        const seconds = Number(headers['Retry-After'] ?? (status === 504 ? 1 : 0))
        expect(Number.isInteger(seconds) && seconds >= 1).toBe(true)
        expect(status === 504 || seconds * 1_000 >= (retryAfterMs ?? 0)).toBe(true)
        expect(JSON.parse(body)).toMatchObject({ status, reason })
      }),
    )
  })

  it('leaves out a window that is no whole number of seconds, and writes any name as ASCII', () => {
    const { headers } = answerTo({ rule: 'größe "x"\\', limit: 5, periodMs: 500 })
    expect(headers['RateLimit-Policy']).toBe('"gr%C3%B6%C3%9Fe \\"x\\"\\\\";q=5')
    expect(headers['RateLimit']).toBe('"gr%C3%B6%C3%9Fe \\"x\\"\\\\";r=0')
  })
})

describe('the answer to other errors', () => {
  it('is 504 for a timeout, 409 for a key at work, 422 for one that was used', () => {
    expect(rejectionResponse(timedOut(5, 'slow'))?.status).toBe(504)
    expect(rejectionResponse(new InFlightError('k', 1_500))).toMatchObject({
      status: 409,
      headers: { 'Retry-After': '2' },
    })
    expect(rejectionResponse(new KeyReusedError('secret'))?.status).toBe(422)
    expect(rejectionResponse(new KeyReusedError('secret'))?.body).not.toContain('secret')
  })

  it('is 503 and 504 for those of cockatiel', () => {
    const broken = new BrokenCircuitError()
    expect(isBrokenCircuitError(broken)).toBe(true)
    expect(rejectionResponse(broken)).toMatchObject({ status: 503, headers: { 'Retry-After': '1' } })
    expect(rejectionResponse(new TaskCancelledError())?.status).toBe(504)
  })

  it.each([[new Error('down')], [undefined], [null], ['text'], [{ code: 'HF_REJECTED', rejection: undefined }]])(
    'is none for %s',
    error => {
      expect(rejectionResponse(error)?.status).toBe(
        error === undefined || !(error as { code?: string })?.code ? undefined : 503,
      )
    },
  )
})
