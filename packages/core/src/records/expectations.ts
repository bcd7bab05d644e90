import type { Expectation, RecordChange, RecordConflict } from '../ports/records.ts'

/** Which of the changes expect something else than there is. `versionOf` answers undefined for a record that is not there. */
export function conflictsOf(
  changes: readonly RecordChange[],
  versionOf: (id: string) => string | undefined,
): readonly RecordConflict[] {
  const conflicts: RecordConflict[] = []
  for (const { id, expect } of changes) {
    if (expect === undefined) continue
    const version = versionOf(id)
    const isMet = expect === 'absent' ? version === undefined : version === expect.version
    if (!isMet) conflicts.push({ id, expected: expect, actual: expectationOf(version) })
  }
  return conflicts
}

function expectationOf(version: string | undefined): Expectation {
  return version === undefined ? 'absent' : { version }
}
