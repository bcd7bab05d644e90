import type { JsonWebKey } from 'node:crypto'
import { createPrivateKey, createPublicKey, KeyObject, sign, verify } from 'node:crypto'
import { InvalidArgumentError, show } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { canonicalJson } from './canonical-json.ts'
import { releaseJson } from './release-shape.ts'
import type { Release, ReleaseSignature } from './release.ts'
import type { Scope } from './scope.ts'

/** Ed25519 public keys by id: a PEM text, the 32 bytes of the key, or a `KeyObject`. */
export type TrustedKeys = Readonly<Record<string, string | Uint8Array | KeyObject>>

/** What a publisher signs with: an Ed25519 private key as a PEM text or a `KeyObject`. */
export interface SigningKey {
  readonly keyId: string
  readonly privateKey: string | KeyObject
}

const RAW_KEY_BYTES = 32

/**
 * Signs a release for a scope: in another scope the signature does not hold. The content is signed through its hash.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the key is none
 */
export function signRelease(
  release: Omit<Release, 'signature'>,
  { scope, keyId, privateKey }: SigningKey & { readonly scope: Scope },
): ReleaseSignature {
  const key = ed25519('privateKey', () => (privateKey instanceof KeyObject ? privateKey : createPrivateKey(privateKey)))
  if (key.type !== 'private') throw noKey('privateKey', `a ${key.type} key`)
  return { keyId, value: sign(null, signedBytes(release, scope), key).toString('base64') }
}

/**
 * Refuses a release that is not signed, for this scope, with one of the trusted keys.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function checkSignature(
  release: Release,
  { scope, trustedKeys }: { readonly scope: Scope; readonly trustedKeys: TrustedKeys },
): void {
  const { signature, number } = release
  if (signature === undefined) throw new UntrustedReleaseError(`Release ${number} is not signed.`)
  const { keyId, value } = signature
  const trusted = Object.hasOwn(trustedKeys, keyId) ? trustedKeys[keyId] : undefined
  if (trusted === undefined) {
    throw new UntrustedReleaseError(`Release ${number} is signed with the key ${show(keyId)}, which is not trusted.`)
  }
  if (verify(null, signedBytes(release, scope), publicKeyOf(trusted), Buffer.from(value, 'base64'))) return
  throw new UntrustedReleaseError(
    `The signature of release ${number} with the key ${show(keyId)} does not hold: it was altered, or signed for another scope.`,
  )
}

/**
 * Refuses what cannot be trusted keys.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkTrustedKeys(keys: unknown): asserts keys is TrustedKeys {
  if (typeof keys !== 'object' || keys === null || keys instanceof Uint8Array || Array.isArray(keys)) {
    throw new InvalidArgumentError(
      'trustedKeys',
      `Expected \`trustedKeys\` to be an object of keys by their ids, got ${show(keys)}.`,
    )
  }
  for (const key of Object.values(keys as TrustedKeys)) publicKeyOf(key)
}

// The first words keep what is signed here from being taken for anything else signed with the same key.
function signedBytes(release: Omit<Release, 'signature'>, { app, env }: Scope): Buffer {
  const unsigned = releaseJson({ ...release, signature: undefined })
  return Buffer.from(canonicalJson(['holdfast release 1', app, env, unsigned]))
}

function publicKeyOf(key: string | Uint8Array | KeyObject): KeyObject {
  return ed25519('trustedKeys', () => {
    if (key instanceof KeyObject) return key.type === 'private' ? createPublicKey(key) : key
    if (typeof key === 'string') return createPublicKey(key)
    if (!(key instanceof Uint8Array)) throw noKey('trustedKeys', 'something else')
    if (key.length !== RAW_KEY_BYTES) throw noKey('trustedKeys', `${key.length} bytes`)
    const jwk: JsonWebKey = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') }
    return createPublicKey({ key: jwk, format: 'jwk' })
  })
}

function ed25519(argument: string, read: () => KeyObject): KeyObject {
  let key: KeyObject
  try {
    key = read()
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error
    throw noKey(argument, 'something else')
  }
  if (key.asymmetricKeyType === 'ed25519') return key
  throw noKey(argument, `a ${key.asymmetricKeyType ?? key.type} key`)
}

function noKey(argument: string, got: string): InvalidArgumentError {
  return new InvalidArgumentError(argument, `Expected \`${argument}\` to have Ed25519 keys, got ${got}.`)
}
