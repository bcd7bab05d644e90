import type { ConfigIssue } from '../errors.ts'
import { Secret } from '../namespace/secret.ts'
import type { JsonObject } from '../release/json.ts'

const NEUTRAL = 'is not what the schema allows; the message is left out, for it could show the secret'

/** So many characters of a secret give it away. Shorter secrets are looked for as a whole, and those under three not at all. */
const TELLING_LENGTH = 5
const TELLING_LENGTH_MIN = 3
const WORDS_LENGTH_MAX = 2_000
/** What was published is nested so deep at most. */
const DEPTH_MAX = 32

/**
 * The issues without what they could say of secrets: schema libraries quote the values that they refuse. An issue of a secret field loses
 * its message and the keys below the field; another one its message when a part of a secret stands in it.
 */
export function concealSecrets(
  issues: readonly ConfigIssue[],
  secrets: readonly string[],
  plain: JsonObject,
): readonly ConfigIssue[] {
  const parts = secrets.flatMap(field => (Object.hasOwn(plain, field) ? textsIn(plain[field]) : []))
  return issues.map(issue => {
    const [field] = issue.path
    if (field !== undefined && secrets.includes(field)) return { ...issue, path: [field], message: NEUTRAL }
    const said = [...issue.path, issue.message].join('\n')
    return parts.some(part => givesAway(said, part))
      ? { ...issue, path: issue.path.slice(0, 1), message: NEUTRAL }
      : issue
  })
}

/** What a user's code said that was given these values; where a part of a secret stands in it, that it is left out. */
export function wordsWithoutSecrets(said: string, given: readonly unknown[]): string {
  const words = said.slice(0, WORDS_LENGTH_MAX)
  const secrets = given
    .flatMap(values => Object.values(values ?? {}) as unknown[])
    .filter(value => value instanceof Secret)
  const parts = secrets.flatMap(secret => textsIn(secret.reveal()))
  return parts.some(part => givesAway(words, part)) ? 'what it said is left out, for it could show a secret' : words
}

/** Whether a part of a secret stands in a message: messages cut long values short, and escape characters. */
function givesAway(message: string, secret: string): boolean {
  if (secret.length < TELLING_LENGTH_MIN) return false
  const length = Math.min(TELLING_LENGTH, secret.length)
  for (let at = 0; at + length <= secret.length; at += 1) {
    if (message.includes(secret.slice(at, at + length))) return true
  }
  return false
}

// What a schema made of a secret can be anything, also something that leads back to itself.
function textsIn(value: unknown, depthLeft: number = DEPTH_MAX): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value === 'number') return [String(value)]
  if (typeof value !== 'object' || value === null || depthLeft === 0) return []
  return Object.values(value).flatMap(inner => textsIn(inner, depthLeft - 1))
}
