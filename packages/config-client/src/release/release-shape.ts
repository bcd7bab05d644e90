import { show } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { checkNamespaceName } from '../namespace/naming.ts'
import { isOptionKey } from '../namespace/template.ts'
import { Fields } from './fields.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import { FORBIDDEN_KEYS, jsonProblemOf } from './json-problem.ts'
import { settledJson } from './settled-json.ts'
import type { PinnedOption, Release, ReleaseContent, ReleaseName, ReleaseSignature, RolloutRule } from './release.ts'

/** As many as the id of a release's record has digits for. */
const NUMBER = { min: 1, max: 9_999_999_999, integer: true } as const
const HASH = { pattern: /^[0-9a-f]{64}$/, expected: 'a SHA-256 in hexadecimal digits' } as const

/** A release as it is stored and signed: what is undefined is left out. */
export function releaseJson(release: Release): JsonObject {
  const { number, hash, parent, kind, rolledBackTo, author, message, requestId, publishedAtMs, signature } = release
  // In the order of canonical JSON, so that it need not be put in order.
  return {
    author,
    hash,
    kind,
    message,
    number,
    ...(parent !== undefined && { parent: { hash: parent.hash, number: parent.number } }),
    publishedAtMs,
    requestId,
    ...(rolledBackTo !== undefined && { rolledBackTo }),
    ...(signature !== undefined && { signature: { keyId: signature.keyId, value: signature.value } }),
  }
}

/** @throws {UntrustedReleaseError} `HF_UNTRUSTED` */
export function releaseFrom(json: Json): Release {
  const fields = new Fields('a release', json, [
    'number',
    'hash',
    'kind',
    'author',
    'message',
    'requestId',
    'publishedAtMs',
    'parent',
    'rolledBackTo',
    'signature',
  ])
  return {
    number: fields.number('number', NUMBER),
    hash: fields.matching('hash', HASH),
    parent: fields.optional('parent', nameFrom),
    kind: fields.oneOf('kind', ['publish', 'rollback']),
    rolledBackTo: fields.optional('rolledBackTo', () => fields.number('rolledBackTo', NUMBER)),
    author: fields.text('author'),
    message: fields.text('message'),
    requestId: fields.text('requestId'),
    publishedAtMs: fields.number('publishedAtMs', { min: 0, max: Number.MAX_SAFE_INTEGER, integer: false }),
    signature: fields.optional('signature', signatureFrom),
  }
}

function nameFrom(json: Json): ReleaseName {
  const fields = new Fields("a release's name", json, ['number', 'hash'])
  return { number: fields.number('number', NUMBER), hash: fields.matching('hash', HASH) }
}

function signatureFrom(json: Json): ReleaseSignature {
  const fields = new Fields('a signature', json, ['keyId', 'value'])
  return { keyId: fields.text('keyId'), value: fields.text('value') }
}

/** @throws {UntrustedReleaseError} `HF_UNTRUSTED` */
export function ruleFrom(json: Json): RolloutRule {
  const kind = new Fields('a rule', json, ['kind', 'labels', 'percent', 'ids', 'of']).oneOf('kind', [
    'labels',
    'percent',
    'instances',
    'any',
  ])
  switch (kind) {
    case 'labels':
      return { kind, labels: textsFrom(new Fields('a rule', json, ['kind', 'labels']).object('labels')) }
    case 'percent': {
      const fields = new Fields('a rule', json, ['kind', 'percent'])
      return { kind, percent: fields.number('percent', { min: 0, max: 100, integer: false }) }
    }
    case 'instances':
      return { kind, ids: new Fields('a rule', json, ['kind', 'ids']).list('ids').map(textFrom) }
    case 'any':
      return { kind, of: new Fields('a rule', json, ['kind', 'of']).list('of').map(partFrom) }
  }
}

// One level is all that a rollout needs, and no record can make the reader dig without end.
function partFrom(json: Json): RolloutRule {
  if (!isJsonObject(json) || json['kind'] !== 'any') return ruleFrom(json)
  throw new UntrustedReleaseError('A rule that is any of others has another such rule in it.')
}

function textsFrom(values: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (FORBIDDEN_KEYS.has(name)) throw new UntrustedReleaseError(`The labels of a rule have the name ${show(name)}.`)
      return [name, textFrom(value)] as const
    }),
  )
}

function textFrom(value: Json): string {
  if (typeof value === 'string') return value
  throw new UntrustedReleaseError(`Expected a rule to name labels or instances by texts, got ${show(value)}.`)
}

/**
 * The content, frozen, with the very objects of `known` where it says the same.
 *
 * @throws {UntrustedReleaseError} `HF_UNTRUSTED`
 */
export function contentFrom(json: Json, known: ReleaseContent | undefined): ReleaseContent {
  const fields = new Fields('the content of a release', json, ['namespaces', 'options'])
  const namespaces = Object.entries(fields.object('namespaces')).map(([name, value]) => {
    checkedName(name)
    return [name, valuesFrom(`The namespace ${show(name)}`, value, own(known?.namespaces, name))] as const
  })
  const options = Object.entries(fields.object('options')).map(([name, value]) => {
    if (!isOptionKey(name)) {
      throw new UntrustedReleaseError(`The content of a release pins ${show(name)}, which names no option.`)
    }
    return [name, pinnedFrom(name, value, own(known?.options, name))] as const
  })
  return Object.freeze({
    namespaces: Object.freeze(Object.fromEntries(namespaces)),
    options: Object.freeze(Object.fromEntries(options)),
  })
}

function checkedName(name: string): void {
  try {
    checkNamespaceName(name)
  } catch (error) {
    throw new UntrustedReleaseError(`The content of a release has ${show(name)}, which names no namespace.`, {
      cause: error,
    })
  }
}

function own<T>(values: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined
}

function pinnedFrom(name: string, json: Json, known: PinnedOption | undefined): PinnedOption {
  const fields = new Fields(`the option ${show(name)}`, json, ['release', 'value'])
  return Object.freeze({
    release: Object.freeze(nameFrom(fields.object('release'))),
    value: valuesFrom(`The option ${show(name)}`, fields.object('value'), known?.value),
  })
}

function valuesFrom(what: string, values: Json, known: JsonObject | undefined): JsonObject {
  if (!isJsonObject(values)) throw new UntrustedReleaseError(`${what} is not an object, but ${show(values)}.`)
  const settled = settledJson(values, known)
  if (settled !== undefined) return settled as JsonObject
  const { path = [], message = 'is not JSON' } = jsonProblemOf(values) ?? {}
  const where = path.length === 0 ? '' : `: ${path.slice(0, 8).join('.')}`
  throw new UntrustedReleaseError(`${what} has what no release may have${where} ${message}.`)
}
