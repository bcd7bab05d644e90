import type { Edit, Json, JsonObject } from '@holdfast/config-client'
import { show } from '@holdfast/core'
import { usageError } from '../exit-codes.ts'
import { parseExactJson } from './exact-json.ts'

type Draft = Map<string, Draft | { readonly value: Json }>

/**
 * Edits from `namespace.path=value`, one a namespace. A value that is JSON is what JSON says, another is text; null takes a key away.
 *
 * @throws {CommandError} `usage`
 */
export function editsFromAssignments(
  assignments: readonly string[],
  { areTexts }: { readonly areTexts: boolean },
): readonly Edit[] {
  if (assignments.length === 0) throw usageError('Expected at least one namespace.path=value.')
  const drafts: Draft = new Map()
  for (const assignment of assignments) {
    const [, path, text] = /^([^=]+)=([^]*)$/.exec(assignment) ?? []
    const keys = path?.split('.') ?? []
    if (text === undefined || keys.length < 2 || keys.includes('')) {
      throw usageError(`Expected namespace.path=value, got ${show(assignment)}.`)
    }
    assign(drafts, keys, areTexts ? text : valueOf(text))
  }
  return [...drafts].map(([namespace, draft]) => ({ kind: 'patch', namespace, value: objectOf(draft) as JsonObject }))
}

function valueOf(text: string): Json {
  try {
    return parseExactJson(text)
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}

function assign(drafts: Draft, keys: readonly string[], value: Json): void {
  const [key = '', ...rest] = keys
  const there = drafts.get(key)
  if (rest.length === 0) {
    if (there !== undefined) throw usageError(`Expected ${show(key)} once, got it twice.`)
    drafts.set(key, { value })
    return
  }
  if (there !== undefined && !(there instanceof Map)) {
    throw usageError(`Expected ${show(key)} to be given as a whole or by its keys, got both.`)
  }
  const inner: Draft = there ?? new Map()
  drafts.set(key, inner)
  assign(inner, rest, value)
}

// `fromEntries` makes own keys of all, `__proto__` included: it is for the schema and the naming rules to refuse.
function objectOf(draft: Draft | { readonly value: Json }): Json {
  if (!(draft instanceof Map)) return draft.value
  return Object.fromEntries([...draft].map(([key, inner]) => [key, objectOf(inner)]))
}
