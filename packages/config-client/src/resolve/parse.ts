import type { StandardSchemaV1 } from '@standard-schema/spec'
import { show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import { messageOf } from '../errors.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { JsonObject } from '../release/json.ts'
import { copyOfJson } from '../release/json.ts'
import { concealSecrets } from './concealment.ts'

/** What a schema made of values. */
export type Parsed =
  | { readonly kind: 'parsed'; readonly output: Readonly<Record<string, unknown>> }
  | { readonly kind: 'invalid'; readonly issues: readonly ConfigIssue[] }

/** What a namespace's schema makes of values, secrets in plain. The issues never show a secret. */
export function parseValues({ name, definition }: Namespace<unknown, never>, plain: JsonObject): Parsed {
  const outcome = outcomeOf(definition.schema, plain)
  if (outcome.kind === 'output') return { kind: 'parsed', output: outcome.output }
  const issues = outcome.issues.map(issue => ({ namespace: name, ...issue }))
  return { kind: 'invalid', issues: concealSecrets(issues, definition.secrets, plain) }
}

type Outcome =
  | { readonly kind: 'output'; readonly output: Readonly<Record<string, unknown>> }
  | { readonly kind: 'issues'; readonly issues: readonly Omit<ConfigIssue, 'namespace'>[] }

function outcomeOf(schema: StandardSchemaV1, plain: JsonObject): Outcome {
  try {
    // A copy: a schema may hand out, or even change, what it was given.
    return outcomeIn(schema['~standard'].validate(copyOfJson(plain)))
  } catch (error) {
    return refused(`its schema threw: ${messageOf(error)}`)
  }
}

function outcomeIn(result: ReturnType<StandardSchemaV1['~standard']['validate']>): Outcome {
  if (result instanceof Promise) {
    // Nobody waits for it, so its rejection would be an unhandled one.
    result.catch(() => {})
    return refused('its schema is asynchronous, and has to be synchronous')
  }
  if (result.issues !== undefined) {
    // Without a reason it is a no all the same.
    if (result.issues.length === 0) return refused('its schema refused it, and did not say why')
    return {
      kind: 'issues',
      issues: result.issues.map(({ message, path }) => ({ path: keysOf(path), message: String(message) })),
    }
  }
  const output: unknown = result.value
  if (typeof output === 'object' && output !== null && !Array.isArray(output)) {
    return { kind: 'output', output: { ...output } }
  }
  return refused(`its schema gave ${show(output)} where an object was expected`)
}

function refused(message: string): Outcome {
  return { kind: 'issues', issues: [{ path: [], message }] }
}

function keysOf(path: StandardSchemaV1.Issue['path'] = []): readonly string[] {
  return path.map(part => String(typeof part === 'object' ? part.key : part))
}
