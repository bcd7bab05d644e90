import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { UntrustedReleaseError } from '../errors.ts'
import {
  contentHash,
  decodeCandidate,
  decodeContent,
  decodeRelease,
  encodeCandidate,
  encodeContent,
  encodeRelease,
} from './codec.ts'
import type { Json } from './json.ts'
import type { Release, ReleaseContent, StoredCandidate } from './release.ts'
import type { Scope } from './scope.ts'

const scope: Scope = { app: 'shop', env: 'prod' }
const content: ReleaseContent = {
  namespaces: { checkout: { timeoutMs: 500, db: 'large', names: ['é', '🔒'], none: null } },
  options: { 'platform/postgres#large': { release: { number: 3, hash: 'cd'.repeat(32) }, value: { poolMax: 5 } } },
}
const hash = contentHash(content)
const first: Release = {
  number: 1,
  hash,
  parent: undefined,
  kind: 'publish',
  rolledBackTo: undefined,
  author: 'ada',
  message: '',
  requestId: 'r-1',
  publishedAtMs: 1_700_000_000_000,
  signature: undefined,
}
const full: Release = {
  ...first,
  number: 9_999_999_999,
  parent: { number: 41, hash: 'ab'.repeat(32) },
  kind: 'rollback',
  rolledBackTo: 40,
  signature: { keyId: 'k', value: 'c2ln' },
}
const candidate: StoredCandidate = {
  release: full,
  rule: { kind: 'labels', labels: { zone: 'a' } },
  step: 1,
  steps: [
    { kind: 'instances', ids: ['i-1'] },
    { kind: 'labels', labels: { zone: 'a' } },
    { kind: 'percent', percent: 12.5 },
    {
      kind: 'any',
      of: [
        { kind: 'instances', ids: [] },
        { kind: 'labels', labels: {} },
      ],
    },
  ],
  content: undefined,
}

const bytesOf = (json: unknown): Uint8Array => Buffer.from(JSON.stringify(json))
const jsonOf = (bytes: Uint8Array): Record<string, Json> =>
  JSON.parse(Buffer.from(bytes).toString()) as Record<string, Json>

/** The record of the first release, changed. */
function altered(change: { readonly record?: object; readonly release?: object }): Uint8Array {
  const json = jsonOf(encodeRelease(scope, { release: first, content: undefined }))
  return bytesOf({ ...json, ...change.record, release: { ...(json['release'] as object), ...change.release } })
}

/** What is said of a record that is not read. */
function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof UntrustedReleaseError) return error.message
    throw error
  }
  throw new Error('It was read.')
}

describe('the record of a release', () => {
  it.each([
    ['first', { release: first, content }],
    ['first without its content', { release: first, content: undefined }],
    ['one with all there is', { release: full, content }],
  ])('is read as it was written: the %s', (_, stored) => {
    expect(decodeRelease(scope, encodeRelease(scope, stored))).toEqual(stored)
  })

  it('is frozen all the way down once it is read', () => {
    const read = decodeRelease(scope, encodeRelease(scope, { release: full, content }))
    for (const part of [
      read,
      read.release.parent,
      read.content?.namespaces['checkout']?.['names'],
      read.content?.options,
    ]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it.each([
    ['is empty', new Uint8Array(), 'A release record is empty.'],
    [
      'is cut off',
      encodeRelease(scope, { release: first, content }).subarray(0, 100),
      'A release record is not JSON, or only a part of it: 100 bytes that begin with "{\\"format\\":1,\\"release".',
    ],
    [
      'is no JSON',
      Buffer.from('hello'),
      'A release record is not JSON, or only a part of it: 5 bytes that begin with "hello".',
    ],
    ['is no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not JSON'],
    [
      'is no object',
      bytesOf([1]),
      'A release record has the format an array of 1, and this version of Holdfast reads 1 alone.',
    ],
    ['has no format', bytesOf({}), 'A release record has the format undefined, and this version'],
    ['is of a later format', altered({ record: { format: 2, more: 1 } }), 'has the format 2, and'],
    ['has a format that is no number', altered({ record: { format: '1' } }), 'has the format "1", and'],
    [
      'has a field more',
      altered({ record: { more: 1 } }),
      'a release record to be nothing but format, release, scope, got "more".',
    ],
    [
      'has no scope',
      altered({ record: { scope: undefined } }),
      'Expected `scope` of a release record to be an object, got undefined.',
    ],
    [
      'has a scope of no name',
      altered({ record: { scope: { app: 'shop' } } }),
      'Expected `env` of the scope of a record',
    ],
    [
      'is of another application',
      altered({ record: { scope: { app: 'pay', env: 'prod' } } }),
      'The release belongs to pay/prod, and this is shop/prod.',
    ],
    [
      'is of another environment',
      altered({ record: { scope: { app: 'shop', env: 'te\nst' } } }),
      'The release belongs to shop/te\\nst, and this is shop/prod.',
    ],
    [
      'has no release',
      bytesOf({ format: 1, scope }),
      'Expected `release` of a release record to be an object, got undefined.',
    ],
    [
      'has a number that is none',
      altered({ release: { number: '1' } }),
      'Expected `number` of a release to be an integer from 1 to 9999999999, got "1".',
    ],
    ['has the number 0', altered({ release: { number: 0 } }), 'got 0.'],
    ['has half a number', altered({ release: { number: 1.5 } }), 'got 1.5.'],
    ['has a hash that is none', altered({ release: { hash: 'AB' } }), 'Expected `hash` of a release to be a SHA-256'],
    [
      'is of a kind that nobody knows',
      altered({ release: { kind: 'wish' } }),
      'to be one of publish, rollback, got "wish".',
    ],
    [
      'has an author who is no text',
      altered({ release: { author: null } }),
      'Expected `author` of a release to be a text, got null.',
    ],
    [
      'has a parent that is none',
      altered({ release: { parent: 3 } }),
      "Expected a release's name to be an object, got 3.",
    ],
    [
      'has a signature that is none',
      altered({ release: { signature: { keyId: 'k' } } }),
      'Expected `value` of a signature to be a text, got undefined.',
    ],
    ['has a time that is none', altered({ release: { publishedAtMs: 'now' } }), 'Expected `publishedAtMs`'],
    ['has a field more in its release', altered({ release: { more: 1 } }), 'Expected a release to be nothing but'],
  ])('is refused when it %s', (_, bytes, message) => {
    expect(messageOf(() => decodeRelease(scope, bytes))).toContain(message)
  })

  it('has its content on a second line, as it is hashed', () => {
    const [line = '', text = '', ...more] = Buffer.from(encodeRelease(scope, { release: first, content }))
      .toString()
      .split('\n')
    expect(JSON.parse(line)).toEqual(jsonOf(encodeRelease(scope, { release: first, content: undefined })))
    expect(createHash('sha256').update(text).digest('hex')).toBe(hash)
    expect(more).toEqual([])
  })

  it('is refused when its content is cut off', () => {
    const bytes = encodeRelease(scope, { release: first, content })
    expect(messageOf(() => decodeRelease(scope, bytes.subarray(0, -1)))).toContain(
      'A content is not JSON, or only a part of it',
    )
    const end = bytes.indexOf(10)
    expect(messageOf(() => decodeRelease(scope, bytes.subarray(0, end + 1)))).toBe('A content is empty.')
  })

  it('is refused when its content was altered', () => {
    const other = { ...content, namespaces: { checkout: { timeoutMs: 501 } } }
    const bytes = encodeRelease(scope, { release: first, content }, encodeContent(other))
    expect(messageOf(() => decodeRelease(scope, bytes))).toBe(
      `The content of a release has the hash ${contentHash(other)}, and should have ${hash}: it was altered.`,
    )
  })
})

describe('the record of a candidate', () => {
  it('is read as it was written', () => {
    expect(decodeCandidate(scope, encodeCandidate(scope, candidate))).toEqual(candidate)
    const withContent: StoredCandidate = { ...candidate, rule: { kind: 'percent', percent: 10 }, content }
    expect(decodeCandidate(scope, encodeCandidate(scope, withContent))).toEqual(withContent)
  })

  it.each([
    [
      'is at a step that it has not',
      { step: 4 },
      'Expected `step` of a candidate record to be an integer from 0 to 3, got 4.',
    ],
    ['has no steps', { steps: [] }, 'to have 1 to 100 steps, got 0.'],
    ['has a percentage beyond 100', { rule: { kind: 'percent', percent: 101 } }, 'a number from 0 to 100, got 101.'],
    ['has a rule of another kind', { rule: { kind: 'moon' } }, 'got "moon".'],
    [
      'has a rule with the parts of another',
      { rule: { kind: 'percent', percent: 1, ids: [] } },
      'nothing but kind, percent, got "ids".',
    ],
    [
      'has a rule in a rule in a rule',
      { rule: { kind: 'any', of: [{ kind: 'any', of: [] }] } },
      'A rule that is any of others has another such rule in it.',
    ],
    ['has labels that are no texts', { rule: { kind: 'labels', labels: { zone: 1 } } }, 'by texts, got 1.'],
    ['has instances that are no texts', { rule: { kind: 'instances', ids: [1] } }, 'by texts, got 1.'],
    ['is of another scope', { scope: { app: 'shop', env: 'test' } }, 'belongs to shop/test, and this is shop/prod.'],
    ['is a release', { rule: undefined }, 'Expected `rule` of a candidate record to be an object, got undefined.'],
  ])('is refused when it %s', (_, change, message) => {
    const bytes = bytesOf({ ...jsonOf(encodeCandidate(scope, candidate)), ...change })
    expect(messageOf(() => decodeCandidate(scope, bytes))).toContain(message)
  })

  it('is no record of a release, nor the other way round', () => {
    const [asCandidate, asRelease] = [
      encodeCandidate(scope, candidate),
      encodeRelease(scope, { release: first, content }),
    ]
    expect(messageOf(() => decodeRelease(scope, asCandidate))).toContain(
      'nothing but format, release, scope, got "rule"',
    )
    expect(messageOf(() => decodeCandidate(scope, asRelease))).toContain('Expected `steps` of a candidate record')
  })
})

describe('a content', () => {
  it('is known by the SHA-256 of its record, whatever the order of its keys', () => {
    expect(hash).toBe(createHash('sha256').update(encodeContent(content)).digest('hex'))
    const reordered = {
      options: content.options,
      namespaces: { checkout: { db: 'large', none: null, names: ['é', '🔒'], timeoutMs: 500 } },
    }
    expect(contentHash(reordered)).toBe(hash)
  })

  it('has the hash that it had in earlier versions', () => {
    expect(hash).toBe('173c36bed85b926f8a7bf218c123e390db5b7386f6e0050de53d997bfb61710c')
    expect(contentHash({ namespaces: {}, options: {} })).toBe(
      'cb1ad73564672568fce4b04d13a1371a8602f7edecc97e239cbc53745c205e9a',
    )
  })

  it('is read as it was written, frozen', () => {
    const read = decodeContent(encodeContent(content), hash)
    expect(read).toEqual(content)
    expect(Object.isFrozen(read.namespaces['checkout'])).toBe(true)
  })

  it.each<readonly [string, string, string]>([
    ['is another', JSON.stringify({ namespaces: {}, options: {} }), 'and should have'],
    ['is empty', '', 'A content is empty.'],
    ['is cut off', '{"namespaces":', 'only a part of it: 14 bytes'],
    ['is no object', '3', 'Expected the content of a release to be an object, got 3.'],
    ['has a part more', '{"namespaces":{},"options":{},"x":1}', 'nothing but namespaces, options, got "x".'],
    [
      'has a namespace that is no object',
      '{"namespaces":{"a":1},"options":{}}',
      'The namespace "a" is not an object, but 1.',
    ],
    ['has a namespace of no name', '{"namespaces":{"A b":{}},"options":{}}', '"A b", which names no namespace'],
    [
      'has a namespace named for a part of objects',
      '{"namespaces":{"__proto__":{}},"options":{}}',
      '"__proto__", which names no namespace',
    ],
    [
      'has a namespace named like a method',
      '{"namespaces":{"constructor":{}},"options":{}}',
      '"constructor", which names no namespace',
    ],
    [
      'has a forbidden key',
      '{"namespaces":{"a":{"b":{"__proto__":{}}}},"options":{}}',
      'The namespace "a" has what no release may have: b has the key "__proto__"',
    ],
    [
      'has another forbidden key',
      '{"namespaces":{"a":{"b":[{"prototype":1}]}},"options":{}}',
      'b.0 has the key "prototype"',
    ],
    ['has a lone surrogate', String.raw`{"namespaces":{"a":{"b":"\ud800"}},"options":{}}`, 'b has a lone surrogate'],
    ['has a number that is too large', '{"namespaces":{"a":{"b":1e999}},"options":{}}', 'b is not JSON: Infinity'],
    ['has an option of no name', '{"namespaces":{},"options":{"x":{}}}', '"x", which names no option'],
    [
      'pins no release',
      '{"namespaces":{},"options":{"platform/a#b":{"value":{}}}}',
      'Expected `release` of the option "platform/a#b" to be an object',
    ],
    [
      'pins no value',
      `{"namespaces":{},"options":{"platform/a#b":{"release":{"number":1,"hash":"${'a'.repeat(64)}"}}}}`,
      'Expected `value` of the option',
    ],
  ])('is refused when it %s', (_, text, message) => {
    expect(messageOf(() => decodeContent(Buffer.from(text), hash))).toContain(message)
  })

  it('is nested 32 deep, and no deeper', () => {
    const nested = (depth: number): ReleaseContent => {
      const text = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
      return { namespaces: { n: JSON.parse(text) as Record<string, Json> }, options: {} }
    }
    const read = (of: ReleaseContent): unknown => decodeContent(encodeContent(of), contentHash(of))
    expect(() => read(nested(32))).not.toThrow()
    expect(messageOf(() => read(nested(33)))).toContain('is nested more than 32 deep')
    expect(
      messageOf(() =>
        decodeContent(
          Buffer.from(`{"namespaces":{"n":${'{"a":'.repeat(90_000)}1${'}'.repeat(90_000)}},"options":{}}`),
          hash,
        ),
      ),
    ).toContain('32 deep')
  })
})
