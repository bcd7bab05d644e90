import { HoldfastError, InvalidArgumentError, show } from '@holdfast/core'
import { messageOf } from '../errors.ts'
import type { Edit } from '../namespace/edit.ts'
import { checkNamespaceName } from '../namespace/naming.ts'
import { isPlain, jsonProblemOf } from '../release/json-problem.ts'
import type { JsonObject } from '../release/json.ts'
import { copyOfJson } from '../release/json.ts'

const EDITS_MAX = 100

/**
 * A copy of the edits, so that what is changed later is not published. Refuses what is no edit, and values that no JSON can say.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkedEdits(edits: unknown): readonly Edit[] {
  try {
    return copiesOf(edits)
  } catch (error) {
    if (error instanceof HoldfastError) throw error
    // A getter or a proxy of somebody's.
    const message = `The edits cannot be read: ${messageOf(error).replace(/\.$/, '')}.`
    throw new InvalidArgumentError('edits', message, { cause: error })
  }
}

function copiesOf(edits: unknown): readonly Edit[] {
  if (!Array.isArray(edits) || edits.length > EDITS_MAX) {
    const got = Array.isArray(edits) ? String(edits.length) : show(edits)
    throw refused(`Expected \`edits\` to be a list of at most ${EDITS_MAX} edits, got ${got}.`)
  }
  return edits.map(checkedEdit)
}

function checkedEdit(edit: unknown): Edit {
  const { kind, namespace, value } = (edit ?? {}) as Readonly<Record<string, unknown>>
  if (kind !== 'patch' && kind !== 'replace' && kind !== 'remove') {
    throw refused(`Expected an edit to be a 'patch', a 'replace' or a 'remove', got ${show(kind ?? edit)}.`)
  }
  checkNamespaceName(namespace)
  if (kind === 'remove') return { kind, namespace }
  if (typeof value !== 'object' || value === null || !isPlain(value)) {
    throw refused(`Expected the ${kind} of "${namespace}" to be an object, got ${show(value)}.`)
  }
  const problem = jsonProblemOf(value)
  if (problem !== undefined) {
    throw refused(`What was given for \`${[namespace, ...problem.path].join('.')}\` ${problem.message}.`)
  }
  return { kind, namespace, value: copyOfJson(value as JsonObject) as JsonObject }
}

function refused(message: string): InvalidArgumentError {
  return new InvalidArgumentError('edits', message)
}
