import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { InvalidArgumentError, show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import type { NamespaceDefinition } from '../namespace/namespace.ts'
import { canonicalJson } from './canonical-json.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import type { Scope } from './scope.ts'

/** Keys that secrets are encrypted with, 32 bytes each, by an id that stands beside what was encrypted with it. */
export type SecretKeys = Readonly<Record<string, Uint8Array>>

/** Where secrets stand. What was encrypted for one place can be decrypted at no other. */
export interface SecretPlace {
  readonly scope: Scope
  readonly namespace: string
  readonly definition: Pick<NamespaceDefinition, 'secrets'>
}

/** An encrypted value, as it stands in a release: AES-256-GCM, texts in base64. */
interface Encrypted extends JsonObject {
  readonly $secret: { readonly keyId: string; readonly iv: string; readonly data: string; readonly tag: string }
}

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
const PARTS: readonly string[] = ['keyId', 'iv', 'data', 'tag']

/**
 * Refuses what cannot be keys.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`, without any of a key's bytes
 */
export function checkSecretKeys(argument: string, keys: unknown): asserts keys is SecretKeys {
  if (typeof keys !== 'object' || keys === null || Array.isArray(keys) || keys instanceof Uint8Array) {
    const got = typeof keys === 'string' ? 'a string' : show(keys)
    throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be keys by their ids, got ${got}.`)
  }
  for (const [id, key] of Object.entries(keys)) {
    if (key instanceof Uint8Array && key.length === KEY_BYTES) continue
    const got = key instanceof Uint8Array ? `${key.length} bytes` : `a ${typeof key}`
    throw new InvalidArgumentError(
      argument,
      `Expected the key ${show(id)} of \`${argument}\` to be a Uint8Array of ${KEY_BYTES} bytes, got ${got}.`,
    )
  }
}

/** Whether it is what `encryptSecrets` puts in the place of a secret. */
export function isEncrypted(value: Json | undefined): value is Encrypted {
  if (!isJsonObject(value) || Object.keys(value).length !== 1 || !isJsonObject(value['$secret'])) return false
  const parts = value['$secret']
  return Object.keys(parts).length === PARTS.length && PARTS.every(part => typeof parts[part] === 'string')
}

/**
 * The values of a namespace with its secrets encrypted. What is encrypted already stays. Where the secret is the same as in
 * `previousRaw`, under the same key, the old ciphertext stays too: equal content has an equal hash.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when there is no key `keyId`, or it is no key
 */
export function encryptSecrets(
  raw: JsonObject,
  about: SecretPlace,
  { keys, keyId }: { readonly keys: SecretKeys; readonly keyId: string },
  previousRaw?: JsonObject,
): JsonObject {
  const fields = about.definition.secrets.filter(field => Object.hasOwn(raw, field))
  const encrypted = fields.map(field => {
    const [value, previous] = [raw[field] as Json, previousRaw?.[field]]
    const aad = aadOf(about, field)
    if (isEncrypted(value)) return [field, value] as const
    if (isEncrypted(previous) && previous.$secret.keyId === keyId && says(decrypt(previous, keys, aad), value)) {
      return [field, previous] as const
    }
    return [field, encrypt(value, { keyId, key: keyOf(keys, keyId), aad })] as const
  })
  return { ...raw, ...Object.fromEntries(encrypted) }
}

function says(decrypted: Decrypted, value: Json): boolean {
  return decrypted.kind === 'plain' && canonicalJson(decrypted.value) === canonicalJson(value)
}

/** What decrypting the secrets of a namespace led to. The issues show neither plain nor encrypted text. */
export type DecryptedSecrets =
  | { readonly kind: 'decrypted'; readonly raw: JsonObject }
  | { readonly kind: 'invalid'; readonly issues: readonly ConfigIssue[] }

/** The values of a namespace with its secrets in plain. A secret that is not encrypted is an issue: it should not stand in a store. */
export function decryptSecrets(raw: JsonObject, about: SecretPlace, keys: SecretKeys): DecryptedSecrets {
  if (about.definition.secrets.length === 0) return { kind: 'decrypted', raw }
  const decrypted: (readonly [string, Json])[] = []
  const issues: ConfigIssue[] = []
  for (const field of about.definition.secrets) {
    if (!Object.hasOwn(raw, field)) continue
    const outcome = decrypt(raw[field] as Json, keys, aadOf(about, field))
    if (outcome.kind === 'plain') decrypted.push([field, outcome.value])
    else issues.push({ namespace: about.namespace, path: [field], message: outcome.message })
  }
  if (issues.length > 0) return { kind: 'invalid', issues }
  return { kind: 'decrypted', raw: { ...raw, ...Object.fromEntries(decrypted) } }
}

function encrypt(
  value: Json,
  by: { readonly keyId: string; readonly key: Uint8Array; readonly aad: Buffer },
): Encrypted {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, by.key, iv, { authTagLength: TAG_BYTES }).setAAD(by.aad)
  const data = Buffer.concat([cipher.update(canonicalJson(value), 'utf8'), cipher.final()])
  const tag = cipher.getAuthTag()
  const [ivText, dataText, tagText] = [iv, data, tag].map(bytes => bytes.toString('base64'))
  return { $secret: { keyId: by.keyId, iv: ivText as string, data: dataText as string, tag: tagText as string } }
}

type Decrypted =
  | { readonly kind: 'plain'; readonly value: Json }
  | { readonly kind: 'failed'; readonly message: string }

function decrypt(value: Json, keys: SecretKeys, aad: Buffer): Decrypted {
  if (!isEncrypted(value)) return failed('is a secret, and stands there without being encrypted')
  const { keyId, iv, data, tag } = value.$secret
  if (!Object.hasOwn(keys, keyId)) return failed(`is encrypted with the key ${show(keyId)}, which was not given`)
  const [ivBytes, tagBytes] = [Buffer.from(iv, 'base64'), Buffer.from(tag, 'base64')]
  // A short tag could be guessed, so its length is not left to who wrote it.
  if (ivBytes.length !== IV_BYTES || tagBytes.length !== TAG_BYTES) return failed('is not encrypted as it should be')
  try {
    const decipher = createDecipheriv(CIPHER, keyOf(keys, keyId), ivBytes, { authTagLength: TAG_BYTES })
    decipher.setAAD(aad).setAuthTag(tagBytes)
    const text = Buffer.concat([decipher.update(data, 'base64'), decipher.final()]).toString('utf8')
    return { kind: 'plain', value: JSON.parse(text) as Json }
  } catch {
    // What was thrown may quote the text.
    return failed(`was not encrypted for this place with the key ${show(keyId)} that was given, or was altered`)
  }
}

function failed(message: string): Decrypted {
  return { kind: 'failed', message }
}

function keyOf(keys: SecretKeys, keyId: string): Uint8Array {
  checkSecretKeys('secretKeys', keys)
  const key = Object.hasOwn(keys, keyId) ? keys[keyId] : undefined
  if (key !== undefined) return key
  throw new InvalidArgumentError(
    'keyId',
    `Expected \`keyId\` to be the id of a key that was given, got ${show(keyId)}.`,
  )
}

function aadOf({ scope, namespace }: SecretPlace, field: string): Buffer {
  return Buffer.from(canonicalJson([scope.app, scope.env, namespace, field]))
}
