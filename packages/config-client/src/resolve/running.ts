import type { ConfigIssue } from '../errors.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { Secret } from '../namespace/secret.ts'
import { deepFreeze } from '../release/deep-freeze.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { parseValues } from './parse.ts'
import { isSameValue } from './same-value.ts'

/** The values of a namespace as they went into its schema, secrets wrapped. */
export type RawValues = Readonly<Record<string, Json | Secret<Json>>>

/** A namespace that runs now. */
export interface Running<Value> {
  readonly value: Value
  readonly raw: RawValues
}

/** What went into a schema, secrets in plain, and what came out. */
export interface Parsing {
  readonly plain: JsonObject
  readonly output: Readonly<Record<string, unknown>>
}

/** The value to run on next, or why there is none. */
export type Continued<Value> =
  | {
      readonly kind: 'continued'
      readonly value: Value
      /** What the value was made of, secrets in plain. */
      readonly plain: JsonObject
      /** Static fields that would have changed. */
      readonly held: readonly string[]
    }
  | { readonly kind: 'invalid'; readonly issues: readonly ConfigIssue[] }

/**
 * The value to run on next: static fields stay as they run, and so does each field that has not changed, as the same object; where
 * nothing has, the whole is the same object. The old static fields have to parse together with the new others.
 */
export function continueRunning<Value>(
  namespace: Namespace<Value, never>,
  next: Parsing,
  running: Running<Value> | undefined,
): Continued<Value> {
  const before = (running?.value ?? {}) as Readonly<Record<string, unknown>>
  const isHeld = (field: string): boolean => !isSameValue(next.output[field], bare(before[field]))
  const held = running === undefined ? [] : namespace.definition.static.filter(isHeld)
  if (running === undefined || held.length === 0) {
    return { kind: 'continued', value: valueOf<Value>(namespace, next.output, before), plain: next.plain, held }
  }

  const plain = holding(next.plain, running.raw, held)
  const parsed = parseValues(namespace, plain)
  if (parsed.kind === 'invalid') {
    const fields = held.map(field => `"${field}"`).join(', ')
    const issues = parsed.issues.map(issue => ({
      ...issue,
      message: `${issue.message} (beside ${fields} as it runs until a restart)`,
    }))
    return { kind: 'invalid', issues }
  }
  const output = holding(parsed.output, before, held)
  return { kind: 'continued', value: valueOf<Value>(namespace, output, before), plain, held }
}

/** The values with the held fields as they are in others, secrets in plain. */
function holding<T>(
  values: Readonly<Record<string, T>>,
  others: Readonly<Record<string, T | Secret<T>>>,
  held: readonly string[],
): Readonly<Record<string, T>> {
  const result = new Map(Object.entries(values))
  for (const field of held) {
    if (Object.hasOwn(others, field)) result.set(field, bare(others[field] as T | Secret<T>))
    else result.delete(field)
  }
  return Object.fromEntries(result)
}

function valueOf<Value>(
  { definition }: Namespace<Value, never>,
  output: Readonly<Record<string, unknown>>,
  before: Readonly<Record<string, unknown>>,
): Value {
  const fields = Object.entries(output).map(([field, plain]) => {
    const isUnchanged = Object.hasOwn(before, field) && isSameValue(plain, bare(before[field]))
    if (isUnchanged) return [field, before[field]] as const
    const isSecret = definition.secrets.includes(field) && plain !== undefined
    return [field, isSecret ? new Secret(plain) : plain] as const
  })
  const isSame =
    fields.length === Object.keys(before).length && fields.every(([field, value]) => before[field] === value)
  return (isSame && Object.isFrozen(before) ? before : deepFreeze(Object.fromEntries(fields))) as Value
}

function bare<T>(value: T | Secret<T>): T {
  return value instanceof Secret ? value.reveal() : value
}
