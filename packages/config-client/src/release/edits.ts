import { assertNever } from '@holdfast/core'
import type { Edit } from '../namespace/edit.ts'
import type { JsonObject } from './json.ts'
import { mergePatch } from './merge-patch.ts'

/** The namespaces after some edits, one after the other. Changes nothing that it is given. */
export function applyEdits(
  namespaces: Readonly<Record<string, JsonObject>>,
  edits: readonly Edit[],
): Readonly<Record<string, JsonObject>> {
  const edited = new Map(Object.entries(namespaces))
  for (const edit of edits) {
    switch (edit.kind) {
      case 'patch':
        edited.set(edit.namespace, mergePatch(edited.get(edit.namespace), edit.value))
        break
      case 'replace':
        edited.set(edit.namespace, edit.value)
        break
      case 'remove':
        edited.delete(edit.namespace)
        break
      default:
        assertNever(edit)
    }
  }
  return Object.fromEntries(edited)
}
