import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { ObjectSchema } from '../namespace/namespace.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import type { JsonObject } from '../release/json.ts'
import { Secret } from '../namespace/secret.ts'
import { concealSecrets, wordsWithoutSecrets } from './concealment.ts'
import { invariantIssues } from './invariants.ts'
import { parseValues } from './parse.ts'

const SECRET = 'hunter2-"quoted"-and-long-enough-to-be-cut-short-by-whoever-prints-values'
const NUMBER = 40_718_223

function reported(schema: ObjectSchema, plain: JsonObject): string {
  const namespace = defineNamespace('n', { schema, secrets: ['key'] as never[] })
  const parsed = parseValues(namespace, plain)
  if (parsed.kind === 'parsed') throw new Error('It was parsed.')
  return JSON.stringify(parsed.issues)
}

/** Schemas that refuse `{ key }`: by its type, by a rule, inside of it, and by a rule over the whole object. */
const SCHEMAS: readonly (readonly [string, ObjectSchema])[] = [
  ['zod: a type', z.object({ key: z.boolean() })],
  ['zod: literals', z.object({ key: z.enum(['a', 'b']) })],
  ['zod: inside', z.object({ key: z.object({ pass: z.boolean() }) })],
  ['zod: unknown keys inside', z.object({ key: z.strictObject({}) })],
  [
    'zod: the whole',
    z.object({ key: z.unknown() }).superRefine((all, context) => context.addIssue(`bad: ${JSON.stringify(all)}`)),
  ],
  [
    'zod: another field',
    z
      .object({ key: z.unknown() })
      .superRefine((all, context) =>
        context.addIssue({ code: 'custom', path: ['other'], message: `bad: ${JSON.stringify(all)}` }),
      ),
  ],
  [
    'zod: it throws',
    z.object({ key: z.unknown() }).transform(all => {
      throw new Error(`bad: ${JSON.stringify(all)}`)
    }),
  ],
  ['valibot: a type', v.object({ key: v.boolean() })],
  ['valibot: literals', v.object({ key: v.picklist(['a', 'b']) })],
  ['valibot: inside', v.object({ key: v.object({ pass: v.boolean() }) })],
  [
    'valibot: a rule',
    v.object({
      key: v.pipe(
        v.any(),
        v.check(
          () => false,
          issue => `bad: ${JSON.stringify(issue.input)}`,
        ),
      ),
    }),
  ],
  [
    'valibot: the whole',
    v.pipe(
      v.object({ key: v.any() }),
      v.check(
        () => false,
        issue => `bad: ${JSON.stringify(issue.input)}`,
      ),
    ),
  ],
  ['arktype: a type', type({ key: 'boolean' })],
  ['arktype: literals', type({ key: "'a' | 'b'" })],
  ['arktype: inside', type({ key: { pass: 'boolean' } })],
  ['arktype: the whole', type({ key: 'unknown' }).narrow((_, context) => context.mustBe('something else'))],
  ['arktype: a union', type({ key: 'boolean' }).or({ other: 'string' })],
]

describe('the issues of a namespace with a secret', () => {
  it.each(SCHEMAS)('do not show it: %s', (_, schema) => {
    for (const secret of [SECRET, { pass: SECRET, pin: NUMBER }, [SECRET], NUMBER]) {
      const said = reported(schema, { key: secret })
      for (const part of ['hunter', 'quoted', 'cut-short', String(NUMBER)]) expect(said).not.toContain(part)
    }
  })

  it('say that a message was left out, and where', () => {
    expect(reported(z.object({ key: z.object({ pass: z.boolean() }) }), { key: { pass: SECRET } })).toBe(
      '[{"namespace":"n","path":["key"],"message":"is not what the schema allows; the message is left out, for it could show the secret"}]',
    )
  })

  it('keep the messages that say nothing of it', () => {
    const schema = z.object({ key: z.unknown(), min: z.number() }).refine(() => false, 'min has to be below max')
    expect(reported(schema, { key: SECRET, min: 1 })).toContain('min has to be below max')
    expect(reported(schema, { key: SECRET, min: 'x' })).toContain('expected number, received string')
  })
})

describe('concealSecrets', () => {
  const issue = (
    message: string,
    path: readonly string[] = [],
  ): readonly [{ namespace: string; path: readonly string[]; message: string }] => [{ namespace: 'n', path, message }]
  const said = (message: string, secret: JsonObject[string]): string =>
    JSON.stringify(concealSecrets(issue(message), ['key'], { key: secret }))

  it('looks for the whole of a short secret, and for parts of a long one', () => {
    expect(said('was "abc"', 'abc')).not.toContain('abc')
    expect(said('was "ab"', 'abc')).toContain('ab')
    expect(said('was "hunte…"', 'hunter2')).not.toContain('hunte')
    expect(said('no', 'no')).toContain('no')
  })

  it('looks at the path as well, which may be made of it', () => {
    expect(
      JSON.stringify(concealSecrets(issue('bad', ['other', 'hunter2']), ['key'], { key: 'hunter2' })),
    ).not.toContain('hunter')
  })
})

describe('wordsWithoutSecrets', () => {
  it('leaves out what a driver says that quotes its own password', () => {
    const given = { url: new Secret('redis://app:hunter2@cache:6379'), poolMax: 5 }
    expect(wordsWithoutSecrets('cannot reach redis://app:hunter2@cache:6379', [given])).not.toContain('hunter2')
    expect(wordsWithoutSecrets('5 are too many', [given, undefined])).toBe('5 are too many')
  })

  it('looks into secrets that are objects, also into those that lead back to themselves', () => {
    const inner: Record<string, unknown> = { password: 'hunter2' }
    inner['self'] = inner
    expect(wordsWithoutSecrets('no hunter2', [{ login: new Secret(inner) }])).not.toContain('hunter2')
  })

  it('is asked about what invariants say', () => {
    const namespace = defineNamespace('n', {
      schema: z.object({ key: z.string() }),
      secrets: ['key'],
      invariants: [next => `not ${next.key.reveal()}`],
    })
    expect(JSON.stringify(invariantIssues(namespace, { key: new Secret('hunter2') }, undefined))).not.toContain('hunt')
  })
})
