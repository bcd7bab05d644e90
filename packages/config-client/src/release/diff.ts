import { canonicalJson } from './canonical-json.ts'
import { isEncrypted } from './encryption.ts'
import type { Json } from './json.ts'
import { isJsonObject } from './json.ts'
import type { PinnedOption, ReleaseContent } from './release.ts'

/** One difference between two contents. Encrypted values show as `[secret]`. */
export interface ReleaseChange {
  readonly kind: 'added' | 'removed' | 'changed'
  /** A namespace's name, or `<layer>/<template>#<option>` where what an option says has changed. */
  readonly namespace: string
  /** Keys from the namespace's root to the value; empty for the namespace itself. */
  readonly path: readonly string[]
  readonly before: Json | undefined
  readonly after: Json | undefined
}

const HIDDEN = '[secret]'
const NOTHING: ReleaseContent = { namespaces: {}, options: {} }

/**
 * What differs between two contents, by namespace and path. The order of keys is no difference, an array is one value, and so is what is
 * there in one of them alone. The release that an option was pinned from is no difference while it says the same.
 */
export function diffContents(
  before: ReleaseContent | undefined = NOTHING,
  after: ReleaseContent | undefined = NOTHING,
): readonly ReleaseChange[] {
  return [
    ...diffRecords(before.namespaces, after.namespaces),
    ...diffRecords(valuesOf(before.options), valuesOf(after.options)),
  ].sort(byPlace)
}

type Values = Readonly<Record<string, Json>>

function diffRecords(before: Values, after: Values): ReleaseChange[] {
  return keysOf(before, after).flatMap(namespace =>
    diffValues({ namespace, path: [] }, own(before, namespace), own(after, namespace)),
  )
}

function diffValues(
  place: Pick<ReleaseChange, 'namespace' | 'path'>,
  before: Json | undefined,
  after: Json | undefined,
): ReleaseChange[] {
  if (isTree(before) && isTree(after)) {
    return keysOf(before, after).flatMap(key =>
      diffValues({ ...place, path: [...place.path, key] }, own(before, key), own(after, key)),
    )
  }
  if (before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after)) return []
  // What is a secret on one side was one on the other, even if it stood there in plain.
  const isSecret = isEncrypted(before) || isEncrypted(after)
  return [{ ...place, kind: kindOf(before, after), before: shown(before, isSecret), after: shown(after, isSecret) }]
}

function kindOf(before: Json | undefined, after: Json | undefined): ReleaseChange['kind'] {
  if (before === undefined) return 'added'
  return after === undefined ? 'removed' : 'changed'
}

function shown(value: Json | undefined, isSecret: boolean): Json | undefined {
  if (value === undefined) return undefined
  return isSecret ? HIDDEN : withoutSecrets(value)
}

/** The value with `[secret]` wherever something is encrypted. */
export function withoutSecrets(value: Json): Json {
  if (isEncrypted(value)) return HIDDEN
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]))
}

function isTree(value: Json | undefined): value is Values {
  return isJsonObject(value) && !isEncrypted(value)
}

function keysOf(before: Values, after: Values): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
}

function own(values: Values, key: string): Json | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined
}

function valuesOf(options: Readonly<Record<string, PinnedOption>>): Values {
  return Object.fromEntries(Object.entries(options).map(([name, { value }]) => [name, value]))
}

function byPlace(a: ReleaseChange, b: ReleaseChange): number {
  const [left, right] = [
    [a.namespace, ...a.path],
    [b.namespace, ...b.path],
  ] as const
  const at = left.findIndex((key, index) => key !== right[index])
  if (at === -1) return left.length - right.length
  const [mine = '', other = ''] = [left[at], right[at]]
  return mine < other ? -1 : 1
}
