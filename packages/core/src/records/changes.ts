import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import type { Commit, Expectation, RecordChange } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'

/**
 * Refuses a commit that no store would take: names, sizes, two changes to one record.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkCommit({ directory, changes }: Commit): void {
  checkName('directory', directory)
  const { commitChangesMax, commitBytesMax } = RECORD_LIMITS
  if (!Array.isArray(changes) || changes.length === 0 || changes.length > commitChangesMax) {
    const got = Array.isArray(changes) ? changes.length : show(changes)
    throw refused('changes', `Expected a commit to have 1 to ${commitChangesMax} changes, got ${got}.`)
  }
  const ids = new Set<string>()
  let sizeBytes = 0
  for (const change of changes as readonly RecordChange[]) {
    checkChange(change)
    if (ids.has(change.id)) {
      throw refused('changes', `Expected a commit to change a record once, got ${show(change.id)} twice.`)
    }
    ids.add(change.id)
    sizeBytes += change.id.length + (change.kind === 'put' ? change.value.length : 0)
  }
  if (sizeBytes <= commitBytesMax) return
  throw refused('changes', `Expected a commit of at most ${commitBytesMax} bytes, got ${sizeBytes}.`)
}

/**
 * Refuses what cannot be the value of a record.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkValue(id: string, value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw refused('value', `Expected the value of record ${show(id)} to be bytes, got ${show(value)}.`)
  }
  if (value.length <= RECORD_LIMITS.recordBytesMax) return
  const limit = RECORD_LIMITS.recordBytesMax
  throw refused(
    'value',
    `Expected the value of record ${show(id)} to have at most ${limit} bytes, got ${value.length}.`,
  )
}

function checkChange(change: RecordChange): void {
  const kind: unknown = change?.kind
  if (kind !== 'put' && kind !== 'delete' && kind !== 'check') {
    throw refused('changes', `Expected a change to be a put, a delete or a check, got ${show(kind ?? change)}.`)
  }
  checkName('id', change.id)
  if (change.kind === 'put') checkValue(change.id, change.value)
  if (change.expect !== undefined || change.kind === 'check') checkExpectation(change.expect)
}

function checkExpectation(expect: Expectation | undefined): void {
  if (expect === 'absent') return
  if (typeof expect === 'object' && expect !== null && typeof expect.version === 'string') return
  throw refused('expect', `Expected \`expect\` to be 'absent' or { version }, got ${show(expect)}.`)
}

function refused(argument: string, message: string): InvalidArgumentError {
  return new InvalidArgumentError(argument, message)
}
