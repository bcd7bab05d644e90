import type { Edit, JsonObject } from '@holdfast/config-client'
import { show } from '@holdfast/core'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { CommandError, usageError } from '../exit-codes.ts'
import { parseExactJson } from './exact-json.ts'

/**
 * Edits from a JSON document `{ namespace: { … } }`, such as `get` prints: merged into what is there, or with `isReplacing` said anew.
 * A namespace that is null is taken out; one that is not named stays as it is.
 *
 * @throws {CommandError} `usage`
 */
export function editsFromDocument(
  document: string,
  { isReplacing }: { readonly isReplacing: boolean },
): readonly Edit[] {
  const namespaces = Object.entries(parsed(document))
  if (namespaces.length === 0) throw usageError('Expected a document with at least one namespace, got {}.')
  return namespaces.map(([namespace, value]): Edit => {
    if (value === null) return { kind: 'remove', namespace }
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw usageError(`Expected the namespace ${show(namespace)} to be an object or null, got ${show(value)}.`)
    }
    return { kind: isReplacing ? 'replace' : 'patch', namespace, value: value as JsonObject }
  })
}

/** The document in a file, or with `-` on standard input. */
export async function readDocument(file: string): Promise<string> {
  if (file === '-') return await text(process.stdin)
  return await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError('usage', `Cannot read ${file}: ${cause.code ?? cause.message}.`, { cause })
  })
}

function parsed(document: string): object {
  let value: unknown
  try {
    value = parseExactJson(document)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new CommandError('usage', `Expected a JSON document: ${cause.message}.`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw usageError(`Expected a document like {"namespace": {"key": 1}}, got ${show(value)}.`)
}
