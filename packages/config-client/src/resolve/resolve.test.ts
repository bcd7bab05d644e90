import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Namespace } from '../namespace/namespace.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import { Secret } from '../namespace/secret.ts'
import { defineTemplate } from '../namespace/template.ts'
import { encryptSecrets } from '../release/encryption.ts'
import type { JsonObject } from '../release/json.ts'
import type { ReleaseContent } from '../release/release.ts'
import type { ResolvedNamespace, ResolveSources } from './resolve.ts'
import { resolveNamespace } from './resolve.ts'

const scope = { app: 'shop', env: 'test' }
const secretKeys = { k1: new Uint8Array(32).fill(1) }
const release = { number: 9, hash: 'ab'.repeat(32) }
const pinnedFrom = { number: 3, hash: 'cd'.repeat(32) }

const postgres = defineTemplate('platform', 'postgres', {
  schema: z.object({ host: z.string(), poolMax: z.number() }),
})
const checkout = defineNamespace('checkout', {
  schema: z.object({
    timeoutMs: z.number().max(5000).default(500),
    limits: z.object({ perUser: z.number(), total: z.number() }).default({ perUser: 1, total: 10 }),
    apiKey: z.string().optional(),
    db: postgres.schema.optional(),
    payments: z.union([z.string(), z.array(z.string())]).optional(),
  }),
  secrets: ['apiKey'],
  options: { db: postgres },
  dependencies: ['payments'],
})

function contentOf(namespace: Namespace<unknown, never>, raw: JsonObject): ReleaseContent {
  const { name, definition } = namespace
  const encrypted = encryptSecrets(raw, { scope, namespace: name, definition }, { keys: secretKeys, keyId: 'k1' })
  return {
    namespaces: { [name]: encrypted },
    options: {
      'platform/postgres#small': { release: pinnedFrom, value: { host: 'pg-s', poolMax: 2 } },
      'platform/postgres#large': { release: pinnedFrom, value: { host: 'pg-l', poolMax: 50 } },
    },
  }
}

type More<Value> = Partial<ResolveSources<Value>>

function resolved<Value>(
  namespace: Namespace<Value, never>,
  raw: JsonObject,
  more: More<Value> = {},
): ResolvedNamespace<Value> {
  const result = resolveNamespace(namespace, {
    content: contentOf(namespace, raw),
    release,
    scope,
    secretKeys,
    ...more,
  })
  if (result.kind === 'resolved') return result
  throw new Error(JSON.stringify(result.issues))
}

/** `path: message` of each issue. */
function issuesOf<Value>(namespace: Namespace<Value, never>, raw: JsonObject, more: More<Value> = {}): string[] {
  const result = resolveNamespace(namespace, {
    content: contentOf(namespace, raw),
    release,
    scope,
    secretKeys,
    ...more,
  })
  return result.kind === 'resolved' ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('resolveNamespace', () => {
  it('gives what was published, with defaults from the schema, secrets wrapped and options put in', () => {
    const { value } = resolved(checkout, { apiKey: 'hunter2', db: 'large' })
    expect(value).toEqual({
      timeoutMs: 500,
      limits: { perUser: 1, total: 10 },
      apiKey: expect.any(Secret) as Secret<string>,
      db: { host: 'pg-l', poolMax: 50 },
    })
    expect(value.apiKey?.reveal()).toBe('hunter2')
  })

  it('gives the defaults of a namespace that is not in the release, and where there is no release', () => {
    const defaults = { timeoutMs: 500, limits: { perUser: 1, total: 10 } }
    expect(resolved(checkout, {}, { content: { namespaces: {}, options: {} } }).value).toEqual(defaults)
    expect(resolved(checkout, {}, { content: undefined, release: undefined }).value).toEqual(defaults)
  })

  it('freezes the value, and what it was made of, all the way down', () => {
    const { value, raw } = resolved(checkout, { db: 'small', limits: { perUser: 2, total: 20 } })
    for (const part of [value, value.db, value.limits, raw, raw['limits']]) expect(Object.isFrozen(part)).toBe(true)
  })

  it('shows no secret in what it was made of', () => {
    const { raw } = resolved(checkout, { apiKey: 'hunter2' })
    expect(JSON.stringify(raw)).toBe('{"apiKey":"[secret]"}')
  })

  it('merges an override on top, and null brings the default back', () => {
    const raw = { timeoutMs: 700, limits: { perUser: 2, total: 20 }, db: 'small' }
    const override = { timeoutMs: null, limits: { total: 99 }, db: { poolMax: 7 } }
    const { value } = resolved(checkout, raw, { override })
    expect(value).toEqual({ timeoutMs: 500, limits: { perUser: 2, total: 99 }, db: { host: 'pg-s', poolMax: 7 } })
    expect(resolved(checkout, raw, { override: { db: 'large' } }).value.db).toEqual({ host: 'pg-l', poolMax: 50 })
  })

  it('takes a secret in plain from an override, and needs no key for the one it replaces', () => {
    const { value } = resolved(checkout, { apiKey: 'hunter2' }, { override: { apiKey: 'dev' }, secretKeys: undefined })
    expect(value.apiKey?.reveal()).toBe('dev')
  })

  it('hands the schema a copy, so that what was published stays as it is', () => {
    const content = contentOf(checkout, { limits: { perUser: 2, total: 20 } })
    const passing = defineNamespace('checkout', { schema: z.looseObject({}) })
    expect(resolved(passing, {}, { content }).value).not.toBe(content.namespaces['checkout'])
    expect(Object.isFrozen(content.namespaces['checkout']?.['limits'])).toBe(false)
  })
})

describe('the issues of a namespace', () => {
  it('name the path and say what the schema says', () => {
    expect(issuesOf(checkout, { timeoutMs: 9999, limits: { perUser: 'x', total: 1 } })).toEqual([
      'timeoutMs: Too big: expected number to be <=5000',
      'limits.perUser: Invalid input: expected number, received string',
    ])
  })

  it('name an option that is not pinned, and what is no option at all', () => {
    expect(issuesOf(checkout, { db: 'huge' })).toEqual([
      'db: the option platform/postgres#huge is not pinned in the release',
    ])
    expect(issuesOf(checkout, { db: { host: 'x', poolMax: 1 } })).toEqual([
      'db: expected the id of an option of platform/postgres, got an object',
    ])
    expect(issuesOf(checkout, {}, { override: { db: 'huge' } })).toHaveLength(1)
    expect(issuesOf(checkout, { db: 'small' }, { override: { db: { poolMax: 'x' } } })).toEqual([
      'db.poolMax: Invalid input: expected number, received string',
    ])
  })

  it('name keys that break the rules, at every depth, but not what is in a secret', () => {
    const credentials = defineNamespace('n', { schema: z.looseObject({ key: z.unknown() }), secrets: ['key'] })
    expect(issuesOf(credentials, { 'a.b': 1, c: [{ _d: 1 }], key: { '/private/key': 1 } })).toEqual([
      expect.stringContaining('a.b: the key "a.b" is not'),
      expect.stringContaining('c.0._d: the key "_d" is not'),
    ])
  })

  it('are none where a definition does not know that a field is encrypted (seen: no template could be rendered beside a secret)', () => {
    const { namespaces } = contentOf(checkout, { apiKey: 'k', timeoutMs: 7 })
    const unaware = defineNamespace('checkout', { schema: z.object({ timeoutMs: z.number() }) })
    const result = resolveNamespace(unaware, { content: { namespaces, options: {} }, release, scope })
    expect(result).toMatchObject({ kind: 'resolved', value: { timeoutMs: 7 } })
  })

  it('tell that it is too large', () => {
    const small = defineNamespace('n', { schema: z.looseObject({}), maxBytes: 20 })
    expect(issuesOf(small, { a: 'x'.repeat(12) })).toEqual([])
    expect(issuesOf(small, { a: 'é'.repeat(7) })).toEqual([
      ': has 22 bytes of canonical JSON, and its `maxBytes` is 20',
    ])
  })

  it('refuse an address where a service is named: published, by default, or by override', () => {
    const expected = [
      'payments: expected the name of a service, got a host with a port: "pay:80"; where it is, discovery says',
    ]
    expect(issuesOf(checkout, { payments: 'pay' })).toEqual([])
    expect(issuesOf(checkout, { payments: 'pay:80' })).toEqual(expected)
    expect(issuesOf(checkout, { payments: ['pay', 'pay:80'] })).toEqual(expected)
    expect(issuesOf(checkout, {}, { override: { payments: 'pay:80' } })).toEqual(expected)
    const byDefault = defineNamespace('n', {
      schema: z.object({ payments: z.string().default('pay:80') }),
      dependencies: ['payments'],
    })
    expect(issuesOf(byDefault, {})).toEqual(expected)
  })

  it('tell of a schema that is asynchronous, throws, or gives no object', () => {
    const asynchronous = z.object({ a: z.string().refine(async () => await Promise.resolve(true)) })
    const own = (validate: () => unknown): Namespace<unknown, never> =>
      defineNamespace('n', { schema: { '~standard': { version: 1, vendor: 'own', validate: validate as never } } })
    expect(issuesOf(defineNamespace('n', { schema: asynchronous }), { a: 'x' })).toEqual([
      ': its schema is asynchronous, and has to be synchronous',
    ])
    const failing = (): never => {
      throw new Error('Oh no')
    }
    expect(
      issuesOf(
        own(() => Promise.reject(new Error('late'))),
        {},
      ),
    ).toEqual([': its schema is asynchronous, and has to be synchronous'])
    expect(issuesOf(own(failing), {})).toEqual([': its schema threw: Oh no'])
    expect(
      issuesOf(
        own(() => ({ value: 3 })),
        {},
      ),
    ).toEqual([': its schema gave 3 where an object was expected'])
    expect(
      issuesOf(
        own(() => ({ issues: [{ message: 'm', path: [{ key: 'a' }, 0, Symbol('s')] }] })),
        {},
      ),
    ).toEqual(['a.0.Symbol(s): m'])
  })

  it('refuse an override that is no JSON', () => {
    expect(issuesOf(checkout, {}, { override: { timeoutMs: undefined } as never })).toEqual([
      'timeoutMs: the override is not JSON: undefined',
    ])
  })
})

describe('where a value comes from', () => {
  const override = { limits: { total: 99 }, payments: null }
  const { originOf } = resolved(
    checkout,
    { timeoutMs: 700, limits: { perUser: 2 }, db: 'small', payments: 'pay' },
    { override },
  )
  const none = { option: undefined, release: undefined }

  it.each([
    [['timeoutMs'], { layer: 'application', option: undefined, release }],
    [['limits', 'perUser'], { layer: 'application', option: undefined, release }],
    [['limits', 'total'], { layer: 'override', ...none }],
    [['limits'], { layer: 'override', ...none }],
    [['db', 'poolMax'], { layer: 'platform', option: 'platform/postgres#small', release: pinnedFrom }],
    [['db'], { layer: 'platform', option: 'platform/postgres#small', release: pinnedFrom }],
    [['apiKey'], { layer: 'default', ...none }],
    [['payments'], { layer: 'default', ...none }],
  ] as const)('is told for %j', (path, origin) => {
    expect(originOf(path)).toEqual(origin)
  })

  it('is the option that an override chose', () => {
    const chosen = resolved(checkout, { db: 'small' }, { override: { db: 'large' } })
    expect(chosen.originOf(['db', 'host'])).toEqual({
      layer: 'platform',
      option: 'platform/postgres#large',
      release: pinnedFrom,
    })
  })
})
