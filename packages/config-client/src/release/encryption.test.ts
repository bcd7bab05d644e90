import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SecretPlace } from './encryption.ts'
import { checkSecretKeys, decryptSecrets, encryptSecrets, isEncrypted } from './encryption.ts'
import { anyTree, reread } from './json.fixture.ts'
import type { Json, JsonObject } from './json.ts'

const keys = { old: new Uint8Array(32).fill(1), new: new Uint8Array(32).fill(2) }
const place: SecretPlace = {
  scope: { app: 'shop', env: 'prod' },
  namespace: 'checkout',
  definition: { secrets: ['apiKey', 'other'] },
}

function encryptedKey(value: Json, at: SecretPlace = place): JsonObject {
  return encryptSecrets({ apiKey: value }, at, { keys, keyId: 'old' })
}

/** What is said of secrets that are not decrypted. */
function messageOf(raw: JsonObject, at: SecretPlace = place, by: Record<string, Uint8Array> = keys): string {
  const outcome = decryptSecrets(raw, at, by)
  if (outcome.kind === 'decrypted') throw new Error('It was decrypted.')
  return outcome.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('\n')
}

describe('encryptSecrets', () => {
  it('is undone by decryptSecrets, for whatever JSON can say', () => {
    fc.assert(
      fc.property(anyTree, value => {
        const encrypted = encryptedKey(value)
        expect(isEncrypted(encrypted['apiKey'])).toBe(true)
        expect(decryptSecrets(encrypted, place, keys)).toEqual({ kind: 'decrypted', raw: { apiKey: reread(value) } })
      }),
      { seed: 256, numRuns: 200 },
    )
  })

  it('leaves all other fields, and secrets that are not there', () => {
    expect(Object.keys(encryptSecrets({ a: 1, apiKey: 'k' }, place, { keys, keyId: 'old' }))).toEqual(['a', 'apiKey'])
    expect(encryptSecrets({ a: 1 }, place, { keys, keyId: 'old' })).toEqual({ a: 1 })
  })

  it('leaves what is encrypted already, and never encrypts the same twice alike', () => {
    const once = encryptedKey('hunter2')
    expect(encryptSecrets(once, place, { keys, keyId: 'new' })).toEqual(once)
    expect(encryptedKey('hunter2')).not.toEqual(once)
  })

  it('keeps the old ciphertext while the secret is the same, so that equal content has an equal hash', () => {
    const previous = encryptedKey({ user: 'u', pass: 'p' })
    const again = (value: Json, keyId: string): JsonObject =>
      encryptSecrets({ apiKey: value }, place, { keys, keyId }, previous)
    expect(again({ pass: 'p', user: 'u' }, 'old')).toEqual(previous)
    expect(again({ pass: 'x', user: 'u' }, 'old')).not.toEqual(previous)
    // Another key is a reason to encrypt anew: that is how keys are changed.
    expect(again({ pass: 'p', user: 'u' }, 'new')).not.toEqual(previous)
  })

  it('encrypts anew where the old ciphertext cannot be read', () => {
    const previous = encryptedKey('hunter2')
    const next = encryptSecrets({ apiKey: 'hunter2' }, place, { keys: { old: keys.new }, keyId: 'old' }, previous)
    expect(decryptSecrets(next, place, { old: keys.new })).toEqual({ kind: 'decrypted', raw: { apiKey: 'hunter2' } })
  })

  it('refuses to go without its key', () => {
    expect(() => encryptSecrets({ apiKey: 'hunter2' }, place, { keys, keyId: 'gone' })).toThrow(
      'Expected `keyId` to be the id of a key that was given, got "gone".',
    )
    expect(() => encryptSecrets({ apiKey: 'hunter2' }, place, { keys, keyId: 'constructor' })).toThrow('`keyId`')
  })
})

describe('decryptSecrets', () => {
  const encrypted = encryptedKey('hunter2')

  it.each<readonly [string, SecretPlace]>([
    ['another application', { ...place, scope: { app: 'other', env: 'prod' } }],
    ['another environment', { ...place, scope: { app: 'shop', env: 'test' } }],
    ['another namespace', { ...place, namespace: 'orders' }],
  ])('refuses what was moved to %s', (_, at) => {
    expect(messageOf(encrypted, at)).toBe(
      'apiKey was not encrypted for this place with the key "old" that was given, or was altered',
    )
  })

  it('refuses what was moved to another field', () => {
    expect(messageOf({ other: encrypted['apiKey'] as Json })).toContain('other was not encrypted for this place')
  })

  it('refuses a secret that stands there in plain', () => {
    expect(messageOf({ apiKey: 'hunter2' })).toBe('apiKey is a secret, and stands there without being encrypted')
  })

  it('tells that the key was not given, or is another', () => {
    expect(messageOf(encrypted, place, {})).toBe('apiKey is encrypted with the key "old", which was not given')
    expect(messageOf(encrypted, place, { old: keys.new })).toContain('was not encrypted for this place')
  })

  it.each(['iv', 'data', 'tag'])('refuses an altered %s, and shows neither plain nor encrypted text', part => {
    const parts = (encrypted['apiKey'] as { $secret: Record<string, string> }).$secret
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(4), Buffer.alloc(12), Buffer.alloc(16)]) {
      const altered = { apiKey: { $secret: { ...parts, [part]: bytes.toString('base64') } } }
      const message = messageOf(altered)
      for (const text of ['hunter2', ...[parts['iv'], parts['data'], parts['tag']]]) expect(message).not.toContain(text)
    }
  })
})

describe('isEncrypted', () => {
  it.each([
    null,
    1,
    'x',
    [],
    {},
    { $secret: 'x' },
    { $secret: { keyId: 'k' } },
    { $secret: { keyId: 1, iv: '', data: '', tag: '' } },
  ])('is not so of %j', value => {
    expect(isEncrypted(value)).toBe(false)
  })

  it('is not so of an object that has more', () => {
    const parts = { keyId: 'k', iv: '', data: '', tag: '' }
    expect(isEncrypted({ $secret: parts })).toBe(true)
    expect(isEncrypted({ $secret: parts, a: 1 })).toBe(false)
    expect(isEncrypted({ $secret: { ...parts, a: '' } })).toBe(false)
  })
})

describe('checkSecretKeys', () => {
  it('refuses what cannot be keys, without showing any', () => {
    expect(() => checkSecretKeys('secretKeys', keys)).not.toThrow()
    expect(() => checkSecretKeys('secretKeys', { k: new Uint8Array(31) })).toThrow(
      'Expected the key "k" of `secretKeys` to be a Uint8Array of 32 bytes, got 31 bytes.',
    )
    expect(() => checkSecretKeys('secretKeys', { k: 'hunter2'.repeat(5) })).toThrow(/got a string\.$/)
    expect(() => checkSecretKeys('secretKeys', 'hunter2')).toThrow(/got a string\.$/)
    expect(() => checkSecretKeys('secretKeys', new Uint8Array(32))).toThrow(/by their ids, got an object\.$/)
  })
})
