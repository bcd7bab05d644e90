import { describe, expect, it } from 'vitest'
import { retryAfterOf } from './retry-after.ts'

const wallMs = Date.UTC(2030, 0, 1)
const at = (ms: number): string => new Date(wallMs + ms).toUTCString()
const httpError = (headers: object): Error => Object.assign(new Error('503'), { headers })

describe('what an error or a result says of when to come again', () => {
  it.each([
    ['retryAfterMs', { retryAfterMs: 250 }, 250],
    ['seconds in headers of fetch', new Response('', { headers: { 'retry-after': '3' } }), 3_000],
    ['seconds in plain headers', httpError({ 'Retry-After': ' 2 ' }), 2_000],
    ['seconds as a number', httpError({ 'retry-after': 4 }), 4_000],
    ['more seconds than anybody waits', httpError({ 'retry-after': '9'.repeat(400) }), Number.MAX_SAFE_INTEGER],
    ['a date to come', httpError({ 'retry-after': at(5_000) }), 5_000],
    ['a date that has passed', httpError({ 'retry-after': at(-60_000) }), 0],
    ['headers of the response of an error', { response: { headers: { 'retry-after': '1' } } }, 1_000],
    ['its own before those of its response', { headers: { 'retry-after': '2' }, response: { headers: {} } }, 2_000],
  ])('is read from %s', (_, outcome, ms) => {
    expect(retryAfterOf(outcome, wallMs)).toBe(ms)
  })

  it.each([
    undefined,
    null,
    'text',
    new Error('plain'),
    { retryAfterMs: -1 },
    { retryAfterMs: NaN },
    { headers: null },
    httpError({ 'retry-after': '-5' }),
    httpError({ 'retry-after': '1.5' }),
    httpError({ 'retry-after': 'soon' }),
    httpError({ 'retry-after': ['1', '2'] }),
    { response: 'none' },
  ])('is nothing where it cannot be read: %o', outcome => {
    expect(retryAfterOf(outcome, wallMs)).toBeUndefined()
  })
})
