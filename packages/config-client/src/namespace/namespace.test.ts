import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from './namespace.ts'
import type { NamespaceValue, ValueOf } from './namespace.ts'
import type { Secret } from './secret.ts'
import { defineTemplate } from './template.ts'

const pool = defineTemplate('platform', 'pool', { schema: z.object({ max: z.number() }) })
const checkout = defineNamespace('checkout', {
  schema: z.object({
    timeoutMs: z.number().default(500),
    apiKey: z.string(),
    db: pool.schema,
    tags: z.array(z.string()).optional(),
  }),
  secrets: ['apiKey'],
  static: ['db'],
  options: { db: pool },
})

describe('the types of a namespace', () => {
  it('are what the schema gives out, with secrets wrapped', () => {
    expectTypeOf<NamespaceValue<typeof checkout>['timeoutMs']>().toEqualTypeOf<number>()
    expectTypeOf<NamespaceValue<typeof checkout>['apiKey']>().toEqualTypeOf<Secret<string>>()
    expectTypeOf<NamespaceValue<typeof checkout>['db']>().toEqualTypeOf<{ max: number }>()
  })

  it('come from zod, valibot and arktype alike', () => {
    const fromValibot = defineNamespace('a', { schema: v.object({ n: v.number() }) })
    const fromArktype = defineNamespace('b', { schema: type({ n: 'number' }) })
    expectTypeOf<NamespaceValue<typeof fromValibot>>().toEqualTypeOf<Readonly<{ n: number }>>()
    expectTypeOf<NamespaceValue<typeof fromArktype>['n']>().toEqualTypeOf<number>()
    expectTypeOf<ValueOf<typeof checkout.definition.schema>>().toBeObject()
  })

  it('let an edit say only what the schema takes, and the id of an option where a template is', () => {
    expect(checkout.patch({ timeoutMs: 800, db: 'large', tags: null })).toEqual({
      kind: 'patch',
      namespace: 'checkout',
      value: { timeoutMs: 800, db: 'large', tags: null },
    })
    // @ts-expect-error a text is no number
    checkout.patch({ timeoutMs: '800' })
    // @ts-expect-error there is no such field
    checkout.patch({ timeout: 800 })
    // @ts-expect-error an option is chosen by its id
    checkout.patch({ db: { max: 3 } })
    // @ts-expect-error all fields without a default are needed
    checkout.replace({ timeoutMs: 1 })
    // @ts-expect-error no such field
    defineNamespace('x', { schema: z.object({ a: z.string() }), secrets: ['b'] })
  })
})
