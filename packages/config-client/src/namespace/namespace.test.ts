import { format, inspect } from 'node:util'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from './namespace.ts'
import type { NamespaceValue, ObjectSchema, ValueOf } from './namespace.ts'
import { Secret } from './secret.ts'
import { appOfLayer, defineTemplate } from './template.ts'

const pool = defineTemplate('platform', 'pool', { schema: z.object({ max: z.number() }) })
const checkout = defineNamespace('checkout', {
  schema: z.object({
    timeoutMs: z.number().default(500),
    apiKey: z.string(),
    db: pool.schema,
    tags: z.array(z.string()).optional(),
    servers: z.array(z.object({ name: z.string(), weight: z.number() })).optional(),
    limits: z.object({ perUser: z.number(), total: z.number() }).optional(),
    mode: z.enum(['fast', 'safe']).optional(),
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

  it('have no secret where an optional one is not there', () => {
    const optional = defineNamespace('n', { schema: z.object({ key: z.string().optional() }), secrets: ['key'] })
    expectTypeOf<NamespaceValue<typeof optional>['key']>().toEqualTypeOf<Secret<string> | undefined>()
  })

  it('give invariants the values that services read', () => {
    defineNamespace('n', {
      schema: z.object({ key: z.string(), max: z.number() }),
      secrets: ['key'],
      invariants: [
        (next, previous) => {
          expectTypeOf(next.max).toEqualTypeOf<number>()
          expectTypeOf(next.key).toEqualTypeOf<Secret<string>>()
          expectTypeOf(previous?.max).toEqualTypeOf<number | undefined>()
          return true
        },
      ],
    })
  })

  it('let a patch say some of an object, but an array as a whole', () => {
    checkout.patch({ limits: { total: 3 }, tags: ['a'], mode: 'fast', servers: [{ name: 'a', weight: 1 }] })
    checkout.patch({ limits: { total: null }, servers: null })
    // @ts-expect-error an array is one value, and its items are whole
    checkout.patch({ servers: [{ name: 'a' }] })
    // @ts-expect-error null takes keys away, not items
    checkout.patch({ tags: [null] })
    // @ts-expect-error no such mode
    checkout.patch({ mode: 'slow' })
    // @ts-expect-error no such limit
    checkout.patch({ limits: { each: 3 } })
    checkout.replace({ apiKey: 'k', db: 'large', limits: { perUser: 1, total: 2 } })
    // @ts-expect-error all of an object is said anew
    checkout.replace({ apiKey: 'k', db: 'large', limits: { total: 2 } })
    expectTypeOf(checkout.override).parameter(0).toEqualTypeOf<Parameters<typeof checkout.patch>[0]>()
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

describe('defineNamespace', () => {
  const schema: ObjectSchema = z.looseObject({})
  const define = (name: string, options: unknown): unknown => defineNamespace(name, options as { schema: ObjectSchema })

  it('is pure and frozen, and starts from defaults', () => {
    const { definition } = defineNamespace('n', { schema })
    expect(definition).toEqual({
      schema,
      static: [],
      secrets: [],
      dependencies: [],
      options: {},
      invariants: [],
      maxBytes: 65_536,
    })
    for (const part of [definition, definition.options, definition.invariants]) expect(Object.isFrozen(part)).toBe(true)
  })

  it.each<readonly [string, unknown, string]>([
    ['Checkout', { schema }, 'Expected the name of a namespace to be lower-case words'],
    ['n', undefined, 'defineNamespace'],
    ['n', {}, 'Expected the `schema` of namespace "n" to follow Standard Schema'],
    ['n', { schema: { a: 1 } }, 'Expected the `schema` of namespace "n" to follow Standard Schema'],
    ['n', { schema, statics: [] }, 'Unknown option `statics` of defineNamespace'],
    ['n', { schema, static: 'a' }, 'Expected `static` to be a list of field names, got "a".'],
    ['n', { schema, secrets: [1] }, 'Expected `secrets` to be a list of field names'],
    ['n', { schema, options: { db: 'large' } }, 'Expected `options` to be templates of `defineTemplate` by field'],
    ['n', { schema, options: { db: null } }, 'Expected `options` to be templates'],
    ['n', { schema, invariants: [true] }, 'Expected `invariants` to be a list of functions'],
    ['n', { schema, maxBytes: 0 }, 'Expected `maxBytes` to be an integer from 1 to 524288, got 0.'],
    ['n', { schema, maxBytes: 524_289 }, 'got 524289.'],
    ['n', { schema, secrets: ['db'], options: { db: pool } }, '`options` together, got "db" twice.'],
    ['n', { schema, secrets: ['a'], dependencies: ['a'] }, 'together, got "a" twice.'],
  ])('refuses %j with %j', (name, options, message) => {
    expect(() => define(name, options)).toThrow(message)
  })

  it('makes edits of objects alone', () => {
    expect(checkout.remove()).toEqual({ kind: 'remove', namespace: 'checkout' })
    expect(checkout.override({ timeoutMs: 1 })).toEqual({ namespace: 'checkout', value: { timeoutMs: 1 } })
    expect(() => checkout.patch([] as never)).toThrow(
      'Expected what patch is given to be an object, got an array of 0.',
    )
    expect(() => checkout.replace(null as never)).toThrow('Expected what replace is given to be an object, got null.')
  })
})

describe('defineTemplate', () => {
  it('offers and withdraws options', () => {
    expect(pool.offer({ large: { max: 9 } })).toEqual({
      kind: 'patch',
      namespace: 'pool',
      value: { large: { max: 9 } },
    })
    expect(pool.withdraw('large')).toEqual({ kind: 'patch', namespace: 'pool', value: { large: null } })
    expect(appOfLayer('platform')).toBe('@platform')
  })

  it('needs a schema', () => {
    const none = {} as { schema: ObjectSchema }
    expect(() => defineTemplate('platform', 'pool', none)).toThrow('Expected the `schema` of template "pool" to follow')
  })

  it.each([
    ['application', 'pool', "Expected the layer of a template to be 'infrastructure' or 'platform'"],
    ['platform', 'Pool', 'Expected the name of a namespace'],
  ])('refuses the layer %j with the name %j', (layer, name, message) => {
    expect(() => defineTemplate(layer as 'platform', name, { schema: z.object({}) })).toThrow(message)
  })
})

describe('a Secret', () => {
  const secret = new Secret({ pass: 'hunter2' })

  it('gives its value out to who asks for it', () => {
    expect(secret.reveal()).toEqual({ pass: 'hunter2' })
  })

  it.each([
    ['JSON', (value: unknown) => JSON.stringify({ value })],
    ['a template text', (value: unknown) => `${value as string}`],
    ['util.inspect', (value: unknown) => inspect({ value }, { depth: 9, showHidden: true })],
    ['util.format', (value: unknown) => format('%s %o %O %j', value, value, value, value)],
    ['its keys', (value: unknown) => JSON.stringify(Object.entries(value as object))],
    ['a structured clone', (value: unknown) => JSON.stringify(structuredClone(value))],
    ['a copy', (value: unknown) => inspect({ ...(value as object) }, { showHidden: true })],
  ])('does not show in %s', (_, print) => {
    expect(print(secret)).not.toContain('hunter2')
  })
})
