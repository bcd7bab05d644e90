import { createHash } from 'node:crypto'
import { show } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { canonicalJson } from './canonical-json.ts'
import { deepFreeze } from './deep-freeze.ts'
import { Fields } from './fields.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import { contentFrom, releaseFrom, releaseJson, ruleFrom } from './release-shape.ts'
import type { Release, ReleaseContent, RolloutRule, StoredCandidate, StoredRelease } from './release.ts'

/** A content whose canonical JSON has at most so many bytes stands beside its release, a larger one in a record of its own. */
export const INLINE_BYTES_MAX = 32_768

/** Of records that this version writes, and the only one that it reads. */
const FORMAT = 1
const STEPS_MAX = 100

/** SHA-256 of the canonical JSON, in hexadecimal digits. */
export function contentHash(content: ReleaseContent): string {
  return createHash('sha256').update(encodeContent(content)).digest('hex')
}

/** The canonical JSON itself, so that its SHA-256 is the hash that it is known by. */
export function encodeContent(content: ReleaseContent): Uint8Array {
  return encode(contentJson(content))
}

/** @throws {UntrustedReleaseError} `HF_UNTRUSTED` when it is not the content that has this hash */
export function decodeContent(bytes: Uint8Array, hash: string): ReleaseContent {
  return verified(decode('A content', bytes), hash)
}

export function encodeRelease({ release, content }: StoredRelease): Uint8Array {
  return encode({ format: FORMAT, release: releaseJson(release), ...inline(content) })
}

/**
 * The record `head` or `release-…`, frozen. A content in it has the hash that its release names.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function decodeRelease(bytes: Uint8Array): StoredRelease {
  const json = checkedFormat('A release record', bytes)
  const fields = new Fields('a release record', json, ['format', 'release', 'content'])
  return deepFreeze(releaseAndContent(fields))
}

export function encodeCandidate({ release, rule, step, steps, content }: StoredCandidate): Uint8Array {
  return encode({
    format: FORMAT,
    release: releaseJson(release),
    rule: ruleJson(rule),
    step,
    steps: steps.map(ruleJson),
    ...inline(content),
  })
}

/**
 * The record `candidate`, frozen. A content in it has the hash that its release names.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function decodeCandidate(bytes: Uint8Array): StoredCandidate {
  const json = checkedFormat('A candidate record', bytes)
  const fields = new Fields('a candidate record', json, ['format', 'release', 'rule', 'step', 'steps', 'content'])
  const steps = fields.list('steps').map(ruleFrom)
  if (steps.length === 0 || steps.length > STEPS_MAX) {
    throw new UntrustedReleaseError(`Expected a candidate record to have 1 to ${STEPS_MAX} steps, got ${steps.length}.`)
  }
  return deepFreeze({
    ...releaseAndContent(fields),
    rule: ruleFrom(fields.object('rule')),
    step: fields.number('step', { min: 0, max: steps.length - 1, integer: true }),
    steps,
  })
}

function releaseAndContent(fields: Fields): { release: Release; content: ReleaseContent | undefined } {
  const release = releaseFrom(fields.object('release'))
  return { release, content: fields.optional('content', json => verified(json, release.hash)) }
}

function verified(json: Json, hash: string): ReleaseContent {
  const content = contentFrom(json)
  const seen = contentHash(content)
  if (seen === hash) return deepFreeze(content)
  throw new UntrustedReleaseError(
    `The content of a release has the hash ${seen}, and should have ${hash}: it was altered.`,
  )
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
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) as Json
  } catch {
    // The parser's own message quotes the text.
    const begin = show(new TextDecoder().decode(bytes.subarray(0, 20)))
    throw new UntrustedReleaseError(
      `${what} is not JSON, or only a part of it: ${bytes.length} bytes that begin with ${begin}.`,
    )
  }
}

function encode(json: Json): Uint8Array {
  return new TextEncoder().encode(canonicalJson(json))
}

function inline(content: ReleaseContent | undefined): JsonObject {
  return content === undefined ? {} : { content: contentJson(content) }
}

function contentJson({ namespaces, options }: ReleaseContent): JsonObject {
  const pinned = Object.entries(options).map(([name, { release, value }]) => {
    return [name, { release: { number: release.number, hash: release.hash }, value }] as const
  })
  return { namespaces, options: Object.fromEntries(pinned) }
}

function ruleJson(rule: RolloutRule): JsonObject {
  return { ...rule }
}

export { decodeReport, encodeReport } from './report-codec.ts'
