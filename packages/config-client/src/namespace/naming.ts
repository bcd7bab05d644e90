import { InvalidArgumentError, show } from '@holdfast/core'

const NAMESPACE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/
const KEY = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const LENGTH_MAX = 64
const FORBIDDEN: ReadonlySet<string> = new Set(['constructor', 'prototype'])

/**
 * Refuses what cannot name a namespace: 1 to 64 lower-case letters and digits, in words with a dash between them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkNamespaceName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name.length <= LENGTH_MAX && NAMESPACE.test(name)) return
  throw new InvalidArgumentError(
    'namespace',
    `Expected the name of a namespace to be lower-case words with dashes, at most ${LENGTH_MAX} characters, like "checkout" or "order-limits", got ${show(name)}.`,
  )
}

/** Why a key of an application's configuration is refused; undefined when it may stand. */
export function keyProblem(key: string): string | undefined {
  if (KEY.test(key) && !FORBIDDEN.has(key)) return undefined
  return `the key ${show(key)} is not a letter followed by at most 63 letters, digits, "-" or "_"`
}
