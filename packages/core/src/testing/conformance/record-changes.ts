import type { Expectation, RecordChange, StoredRecord } from '../../ports/records.ts'

const encoder = new TextEncoder()
// A byte order mark is a part of the text.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A value, or what a text is as one. */
export function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : value
}

export function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : decoder.decode(value)
}

/** The values of some records as texts, by id and in the order of ids. */
export function textsOf(
  records: ReadonlyMap<string, { readonly value: Uint8Array }>,
): Readonly<Record<string, string>> {
  const ids = [...records.keys()].sort()
  return Object.fromEntries(ids.map(id => [id, textOf(records.get(id)?.value) ?? '']))
}

export function put(id: string, value: string | Uint8Array, expect?: Expectation): RecordChange {
  return { kind: 'put', id, value: bytesOf(value), ...(expect === undefined ? {} : { expect }) }
}

export function erase(id: string, expect?: Expectation): RecordChange {
  return { kind: 'delete', id, ...(expect === undefined ? {} : { expect }) }
}

export function check(id: string, expect: Expectation): RecordChange {
  return { kind: 'check', id, expect }
}

/** What a record that was read is expected to be still. */
export function asRead(record: StoredRecord | undefined): Expectation {
  return record === undefined ? 'absent' : { version: record.version }
}
