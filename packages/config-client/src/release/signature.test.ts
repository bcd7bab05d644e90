import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { UntrustedReleaseError } from '../errors.ts'
import type { Release } from './release.ts'
import type { TrustedKeys } from './signature.ts'
import { checkSignature, checkTrustedKeys, signRelease } from './signature.ts'

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('ed25519')
const scope = { app: 'shop', env: 'prod' }
const unsigned: Omit<Release, 'signature'> = {
  number: 7,
  hash: 'ab'.repeat(32),
  parent: undefined,
  kind: 'publish',
  rolledBackTo: undefined,
  author: 'ada',
  message: 'why',
  requestId: 'r-1',
  publishedAtMs: 1,
}
const signed: Release = { ...unsigned, signature: signRelease(unsigned, { scope, keyId: 'k1', privateKey }) }
const trustedKeys: TrustedKeys = { k1: publicKey }

function check(release: Release, trusted: TrustedKeys = trustedKeys, of = scope): void {
  checkSignature(release, { scope: of, trustedKeys: trusted })
}

describe('a signed release', () => {
  it.each<readonly [string, string | Uint8Array | typeof publicKey]>([
    ['a KeyObject', publicKey],
    ['a PEM text', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['its 32 bytes', Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')],
  ])('is trusted by its public key as %s', (_, key) => {
    expect(() => check(signed, { k0: other.publicKey, k1: key })).not.toThrow()
  })

  it('can be signed with a PEM text', () => {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect(signRelease(unsigned, { scope, keyId: 'k1', privateKey: pem })).toEqual(signed.signature)
  })

  it.each<readonly [string, Partial<Release>]>([
    ['number', { number: 8 }],
    ['hash', { hash: 'cd'.repeat(32) }],
    ['parent', { parent: { number: 6, hash: 'ab'.repeat(32) } }],
    ['author', { author: 'eve' }],
    ['message', { message: 'other' }],
    ['kind', { kind: 'rollback', rolledBackTo: 3 }],
  ])('is refused with another %s', (_, change) => {
    expect(() => check({ ...signed, ...change })).toThrow(UntrustedReleaseError)
  })

  it('is refused in another scope, so that it cannot be carried from a test to production', () => {
    expect(() => check(signed, trustedKeys, { app: 'shop', env: 'test' })).toThrow(
      'The signature of release 7 with the key "k1" does not hold: it was altered, or signed for another scope.',
    )
  })

  it('is refused without a signature, by a key that is not trusted, and by another key of the same id', () => {
    expect(() => check({ ...signed, signature: undefined })).toThrow('Release 7 is not signed.')
    expect(() => check(signed, {})).toThrow('Release 7 is signed with the key "k1", which is not trusted.')
    expect(() => check({ ...signed, signature: { keyId: 'constructor', value: '' } })).toThrow('which is not trusted.')
    expect(() => check(signed, { k1: other.publicKey })).toThrow('does not hold')
    expect(() => check({ ...signed, signature: { keyId: 'k1', value: 'x' } })).toThrow('does not hold')
  })
})

describe('the keys of signatures', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 })

  it('are refused when they are none, or of another kind', () => {
    expect(() => checkTrustedKeys(trustedKeys)).not.toThrow()
    expect(() => checkTrustedKeys([])).toThrow('Expected `trustedKeys` to be an object of keys by their ids')
    expect(() => checkTrustedKeys({ k: new Uint8Array(31) })).toThrow('to have Ed25519 keys, got 31 bytes.')
    expect(() => checkTrustedKeys({ k: 'hunter2' })).toThrow('to have Ed25519 keys, got something else.')
    expect(() => checkTrustedKeys({ k: 3 })).toThrow('to have Ed25519 keys, got something else.')
    expect(() => checkTrustedKeys({ k: rsa.publicKey })).toThrow('to have Ed25519 keys, got a rsa key.')
    expect(() => signRelease(unsigned, { scope, keyId: 'k', privateKey: rsa.privateKey })).toThrow('got a rsa key.')
    expect(() => signRelease(unsigned, { scope, keyId: 'k', privateKey: publicKey })).toThrow('got a public key.')
    expect(() => signRelease(unsigned, { scope, keyId: 'k', privateKey: 'x' })).toThrow('got something else.')
  })

  it('may be trusted as the private key that they belong to', () => {
    expect(createPublicKey(privateKey).equals(publicKey)).toBe(true)
    expect(() => check(signed, { k1: privateKey })).not.toThrow()
  })
})
