import { hash as digestOf } from 'node:crypto'
import { show } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { canonicalJson } from './canonical-json.ts'
import { deepFreeze } from './deep-freeze.ts'
import { Fields } from './fields.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import { contentFrom, releaseFrom, releaseJson, ruleFrom } from './release-shape.ts'
import type { ReleaseContent, RolloutRule, StoredCandidate, StoredRelease } from './release.ts'
import type { Scope } from './scope.ts'

/** A content whose canonical JSON has at most so many bytes stands beside its release, a larger one in a record of its own. */
export const INLINE_BYTES_MAX = 32_768

/** Of records that this version writes, and the only one that it reads. */
const FORMAT = 1
const STEPS_MAX = 100
const NEWLINE = 10
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** SHA-256 of the canonical JSON, in hexadecimal digits. */
export function contentHash(content: ReleaseContent): string {
  return hashOf(encodeContent(content))
}

/** The hash that a content is known by, of what `encodeContent` made of it. */
export function hashOf(contentBytes: Uint8Array): string {
  return digestOf('sha256', contentBytes, 'hex')
}

/** The canonical JSON itself, so that its SHA-256 is the hash that it is known by. */
export function encodeContent(content: ReleaseContent): Uint8Array {
  return encode(contentJson(content))
}

/**
 * The content, frozen. Its bytes are what is hashed: what their writer made of them is not made again.
 *
 * @param known one that was decoded before: where this one says the same it is the same object
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED` when it is not the content that has this hash
 */
export function decodeContent(bytes: Uint8Array, hash: string, known?: ReleaseContent): ReleaseContent {
  const content = contentFrom(decode('A content', bytes), known)
  const seen = hashOf(bytes)
  if (seen === hash) return content
  throw new UntrustedReleaseError(
    `The content of a release has the hash ${seen}, and should have ${hash}: it was altered.`,
  )
}

/** @param contentBytes what `encodeContent` made of the content, if that was done already */
export function encodeRelease(
  scope: Scope,
  { release, content }: StoredRelease,
  contentBytes?: Uint8Array,
): Uint8Array {
  const line = { format: FORMAT, release: releaseJson(release), scope: scopeJson(scope) }
  return encodeRecord(line, contentBytes ?? inline(content))
}

/**
 * The record `head` or `release-…` of this scope, frozen. A content in it has the hash that its release names.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function decodeRelease(scope: Scope, bytes: Uint8Array, known?: ReleaseContent): StoredRelease {
  const { json, contentBytes } = decodeRecord('A release record', bytes)
  const fields = new Fields('a release record', json, ['format', 'release', 'scope'])
  checkBelongs(fields, scope)
  return Object.freeze(releaseAndContent(fields, contentBytes, known))
}

export function encodeCandidate(scope: Scope, candidate: StoredCandidate): Uint8Array {
  const { release, rule, step, steps, content } = candidate
  const line = {
    format: FORMAT,
    release: releaseJson(release),
    rule: ruleJson(rule),
    scope: scopeJson(scope),
    step,
    steps: steps.map(ruleJson),
  }
  return encodeRecord(line, inline(content))
}

/**
 * The record `candidate` of this scope, frozen. A content in it has the hash that its release names.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function decodeCandidate(scope: Scope, bytes: Uint8Array, known?: ReleaseContent): StoredCandidate {
  const { json, contentBytes } = decodeRecord('A candidate record', bytes)
  const fields = new Fields('a candidate record', json, ['format', 'release', 'rule', 'scope', 'step', 'steps'])
  checkBelongs(fields, scope)
  const steps = fields.list('steps').map(ruleFrom)
  if (steps.length === 0 || steps.length > STEPS_MAX) {
    throw new UntrustedReleaseError(`Expected a candidate record to have 1 to ${STEPS_MAX} steps, got ${steps.length}.`)
  }
  return deepFreeze({
    ...releaseAndContent(fields, contentBytes, known),
    rule: ruleFrom(fields.object('rule')),
    step: fields.number('step', { min: 0, max: steps.length - 1, integer: true }),
    steps,
  })
}

// A record that was copied from another key, by hand or by a backup that was restored to the wrong place.
function checkBelongs(fields: Fields, { app, env }: Scope): void {
  const scope = new Fields('the scope of a record', fields.object('scope'), ['app', 'env'])
  const [itsApp, itsEnv] = [scope.text('app'), scope.text('env')]
  if (itsApp === app && itsEnv === env) return
  throw new UntrustedReleaseError(
    `The release belongs to ${shown(itsApp)}/${shown(itsEnv)}, and this is ${app}/${env}.`,
  )
}

/** As `show`, without its quotes. */
function shown(name: string): string {
  return show(name).slice(1, -1)
}

function releaseAndContent(
  fields: Fields,
  contentBytes: Uint8Array | undefined,
  known: ReleaseContent | undefined,
): StoredRelease {
  const release = deepFreeze(releaseFrom(fields.object('release')))
  return { release, content: contentBytes && decodeContent(contentBytes, release.hash, known) }
}

/** A record: a line of JSON, and the content as it is hashed on a second one, if it stands there. */
function encodeRecord(line: JsonObject, contentBytes: Uint8Array | undefined): Uint8Array {
  const head = encode(line)
  if (contentBytes === undefined) return head
  const bytes = new Uint8Array(head.length + 1 + contentBytes.length)
  bytes.set(head)
  bytes[head.length] = NEWLINE
  bytes.set(contentBytes, head.length + 1)
  return bytes
}

function decodeRecord(what: string, bytes: Uint8Array): { json: Json; contentBytes: Uint8Array | undefined } {
  // Canonical JSON has no line break but the one after it.
  const end = bytes.indexOf(NEWLINE)
  if (end === -1) return { json: checkedFormat(what, bytes), contentBytes: undefined }
  return { json: checkedFormat(what, bytes.subarray(0, end)), contentBytes: bytes.subarray(end + 1) }
}

function checkedFormat(what: string, bytes: Uint8Array): Json {
  const json = decode(what, bytes)
  const format = isJsonObject(json) ? json['format'] : undefined
  if (format === FORMAT) return json
  const got = isJsonObject(json) ? show(format) : show(json)
  throw new UntrustedReleaseError(`${what} has the format ${got}, and this version of Holdfast reads ${FORMAT} alone.`)
}

function decode(what: string, bytes: Uint8Array): Json {
  if (bytes.length === 0) throw new UntrustedReleaseError(`${what} is empty.`)
  try {
    return JSON.parse(decoder.decode(bytes)) as Json
  } catch {
    // The parser's own message quotes the text.
    const begin = show(new TextDecoder().decode(bytes.subarray(0, 20)))
    throw new UntrustedReleaseError(
      `${what} is not JSON, or only a part of it: ${bytes.length} bytes that begin with ${begin}.`,
    )
  }
}

function encode(json: Json): Uint8Array {
  return encoder.encode(canonicalJson(json))
}

function inline(content: ReleaseContent | undefined): Uint8Array | undefined {
  return content && encodeContent(content)
}

function contentJson({ namespaces, options }: ReleaseContent): JsonObject {
  const pinned = Object.entries(options).map(([name, { release, value }]) => {
    return [name, { release: { number: release.number, hash: release.hash }, value }] as const
  })
  return { namespaces, options: Object.fromEntries(pinned) }
}

function scopeJson({ app, env }: Scope): JsonObject {
  return { app, env }
}

function ruleJson(rule: RolloutRule): JsonObject {
  return { ...rule }
}

export { decodeReport, encodeReport } from './report-codec.ts'
