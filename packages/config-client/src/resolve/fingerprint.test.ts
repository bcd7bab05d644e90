import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { schemaFingerprint } from './fingerprint.ts'

describe('schemaFingerprint', () => {
  it.each([
    [
      'zod',
      z.object({ a: z.number(), b: z.string() }),
      z.object({ b: z.string(), a: z.number() }),
      z.object({ a: z.number() }),
    ],
    ['arktype', type({ a: 'number', b: 'string' }), type({ b: 'string', a: 'number' }), type({ a: 'number' })],
  ])('tells schemas of %s apart by what they take', (_, schema, same, other) => {
    expect(schemaFingerprint(schema)).toMatch(/^[0-9a-f]{16}$/)
    expect(schemaFingerprint(schema)).toBe(schemaFingerprint(schema))
    expect(schemaFingerprint(other)).not.toBe(schemaFingerprint(schema))
    expect(schemaFingerprint(same)).toMatch(/^[0-9a-f]{16}$/)
  })

  it('is not there where the library cannot say', () => {
    expect(schemaFingerprint(v.object({ a: v.number() }))).toBeUndefined()
    expect(schemaFingerprint(z.object({ a: z.custom<bigint>(), b: z.bigint() }))).toBeUndefined()
  })
})
