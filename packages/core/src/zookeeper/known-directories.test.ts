import { expect, it } from 'vitest'
import type { RecordChange } from '../ports/records.ts'
import { newMeta } from './directory-meta.ts'
import { KnownDirectories } from './known-directories.ts'

const node = { meta: newMeta('history'), version: 3, mtimeMs: 0, recordCount: 1 }
const value = new Uint8Array()

function known(changes: readonly RecordChange[]): ReadonlyMap<string, unknown> | undefined {
  const directories = new KnownDirectories()
  directories.put('/d', { node, records: new Map([['seen', { version: 'v1' }]]) })
  return directories.get('/d', changes)?.records
}

it.each<readonly [string, RecordChange, unknown]>([
  ['put of a record that was seen', { kind: 'put', id: 'seen', value, expect: { version: 'v0' } }, { version: 'v1' }],
  ['put of a new one', { kind: 'put', id: 'new', value, expect: 'absent' }, 'absent'],
  ['delete of whatever is there', { kind: 'delete', id: 'old' }, 'present'],
])('enough is known for the %s', (_, change, record) => {
  expect(known([change])?.get(change.id)).toEqual(record)
})

it.each<readonly [string, RecordChange]>([
  ['put of whatever is there', { kind: 'put', id: 'new', value }],
  ['put of another version', { kind: 'put', id: 'new', value, expect: { version: 'v0' } }],
  ['check, of which nothing is sent', { kind: 'check', id: 'new', expect: 'absent' }],
  ['delete of a version', { kind: 'delete', id: 'new', expect: { version: 'v0' } }],
])('of a record that was not seen too little is known for the %s', (_, change) => {
  expect(known([change])).toBeUndefined()
})

it('nothing is known of a directory that was not seen', () => {
  expect(new KnownDirectories().get('/d', [{ kind: 'put', id: 'new', value, expect: 'absent' }])).toBeUndefined()
})
