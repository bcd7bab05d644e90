import { describe, expect, it } from 'vitest'
import type { ObjectSchema } from '../namespace/namespace.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import { parseValues } from './parse.ts'

/** A schema whose library answers whatever it is told to. */
function answering(validate: () => unknown): ObjectSchema {
  return { '~standard': { version: 1, vendor: 'odd', validate } } as unknown as ObjectSchema
}

describe('A schema that does not follow the standard', () => {
  it.each<[string, () => unknown]>([
    ['answers nothing', () => undefined],
    ['says no, and gives no reason', () => ({ value: { a: 1 }, issues: [] })],
    ['gives something else for issues', () => ({ issues: 5 })],
    ['gives an issue that is none', () => ({ issues: [null] })],
    ['gives an issue without words', () => ({ issues: [{}] })],
    [
      'throws something that has no words',
      () => {
        throw Object.create(null)
      },
    ],
    [
      'gives an object that cannot be read',
      () => ({
        value: {
          get a(): never {
            throw new Error('no')
          },
        },
      }),
    ],
  ])('refuses what it is asked about when it %s', (_, validate) => {
    const namespace = defineNamespace('odd', { schema: answering(validate) })
    const parsed = parseValues(namespace, { a: 1 })
    expect(parsed).toMatchObject({ kind: 'invalid', issues: [{ namespace: 'odd' }] })
  })
})
