import { RECORD_LIMITS } from '@holdfast/core'
import { describe, expect, it } from 'vitest'
import type { InstanceReport } from '../client/report.ts'
import { decodeReport, encodeReport } from './report-codec.ts'

const release = { number: 7, hash: 'ab'.repeat(32) }
const bare: InstanceReport = {
  id: 'i-1',
  slot: 'shop-0',
  labels: {},
  applied: undefined,
  source: 'defaults',
  refusal: undefined,
  pendingRestart: [],
  schemas: {},
}
const full: InstanceReport = {
  ...bare,
  labels: { zone: 'a' },
  applied: { number: 6, hash: 'cd'.repeat(32) },
  source: 'last-known-good',
  refusal: {
    release,
    stage: 'prepare',
    participant: 'pool',
    issues: [{ namespace: 'checkout', path: ['db', 'poolMax'], message: 'too many' }],
  },
  pendingRestart: ['checkout.db'],
  schemas: { checkout: '0123456789abcdef' },
}
const bytesOf = (json: unknown): Uint8Array => Buffer.from(JSON.stringify(json))

describe('the report of an instance', () => {
  it.each([
    ['bare', bare],
    ['full', full],
  ])('is read as it was written: a %s one', (_, report) => {
    expect(decodeReport(encodeReport(report))).toEqual(report)
  })

  it('stays small whatever was refused', () => {
    const issue = { namespace: 'checkout', path: ['a'], message: `${'x'.repeat(299)}🔒${'y'.repeat(10_000)}` }
    const refusal = {
      release,
      stage: 'parse' as const,
      participant: undefined,
      issues: Array.from({ length: 1000 }, () => issue),
    }
    const bytes = encodeReport({ ...bare, refusal })
    expect(bytes.length).toBeLessThan(RECORD_LIMITS.recordBytesMax / 50)
    const issues = decodeReport(bytes)?.refusal?.issues ?? []
    expect(issues).toHaveLength(20)
    expect(issues[0]?.message).toBe(`${'x'.repeat(299)}\ufffd…`)
  })

  it.each([
    ['empty', new Uint8Array()],
    ['cut off', encodeReport(full).subarray(0, 20)],
    ['no UTF-8', Buffer.from([0xff])],
    ['no object', bytesOf([])],
    ['without an id', bytesOf({ slot: 'x' })],
  ])('is none when it is %s', (_, bytes) => {
    expect(decodeReport(bytes)).toBeUndefined()
  })

  it('is read as far as it can be understood, for it is only shown', () => {
    expect(decodeReport(bytesOf({ id: 'i-1' }))).toEqual({ ...bare, slot: 'i-1', source: 'store' })
    const odd = {
      id: 'i-1',
      slot: 3,
      labels: { a: 1, b: 'x' },
      applied: { number: '1' },
      source: 'moon',
      refusal: { release, stage: 'new', issues: [1, { namespace: 'n', path: [1], message: 'm' }, { message: 'm' }] },
      pendingRestart: ['a.b', 1],
      schemas: 'x',
      later: true,
    }
    expect(decodeReport(bytesOf(odd))).toEqual({
      ...bare,
      slot: 'i-1',
      labels: { b: 'x' },
      source: 'store',
      refusal: {
        release,
        stage: 'verify',
        participant: undefined,
        issues: [{ namespace: 'n', path: ['1'], message: 'm' }],
      },
      pendingRestart: ['a.b'],
    })
  })
})
