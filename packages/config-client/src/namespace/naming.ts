import { InvalidArgumentError, show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import type { Json } from '../release/json.ts'
import { isJsonArray, isJsonObject } from '../release/json.ts'
import { FORBIDDEN_KEYS } from '../release/json-problem.ts'

const NAMESPACE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/
const KEY = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const LENGTH_MAX = 64

/**
 * Refuses what cannot name a namespace: 1 to 64 lower-case letters and digits, in words with a dash between them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkNamespaceName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name.length <= LENGTH_MAX && NAMESPACE.test(name) && !FORBIDDEN_KEYS.has(name)) return
  throw new InvalidArgumentError(
    'namespace',
    `Expected the name of a namespace to be lower-case words with dashes, at most ${LENGTH_MAX} characters, like "checkout" or "order-limits", got ${show(name)}.`,
  )
}

/** Why a key of an application's configuration is refused; undefined when it may stand. */
export function keyProblem(key: string): string | undefined {
  if (KEY.test(key) && !FORBIDDEN_KEYS.has(key)) return undefined
  return `the key ${show(key)} is not a letter followed by at most 63 letters, digits, "-" or "_"`
}

/** An issue for each key, at any depth, that may not stand in an application's configuration. */
export function keyIssues(namespace: string, value: Json): ConfigIssue[] {
  const issues: ConfigIssue[] = []
  addKeyIssues(issues, { namespace, value, path: [] })
  return issues
}

function addKeyIssues(
  issues: ConfigIssue[],
  { namespace, value, path }: { readonly namespace: string; readonly value: Json; readonly path: readonly string[] },
): void {
  if (isJsonArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const inner = value[index] as Json
      if (typeof inner === 'object') addKeyIssues(issues, { namespace, value: inner, path: [...path, String(index)] })
    }
  } else if (isJsonObject(value)) {
    for (const [key, inner] of Object.entries(value)) {
      const message = keyProblem(key)
      if (message !== undefined) issues.push({ namespace, path: [...path, key], message })
      if (typeof inner === 'object') addKeyIssues(issues, { namespace, value: inner, path: [...path, key] })
    }
  }
}
