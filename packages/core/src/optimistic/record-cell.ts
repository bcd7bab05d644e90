import type { Backend } from '../backend.ts'
import { checkName } from '../names.ts'
import type { Expectation } from '../ports/records.ts'
import type { Cell } from './cell.ts'

/**
 * A record of a backend as a cell: in memory, Redis, ZooKeeper (by the version of its node) or PostgreSQL. A version is never used
 * twice, also not after the store lost its data, so what was written back and forth is not taken for unchanged (no ABA).
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a bad name
 */
export function recordCell(
  { records }: Pick<Backend, 'records'>,
  { directory, id }: { readonly directory: string; readonly id: string },
): Cell<Uint8Array> {
  checkName('directory', directory)
  checkName('id', id)
  return {
    name: `the record "${id}" of "${directory}"`,
    async read() {
      const read = await records.read({ directory, ids: [id] })
      const record = read.kind === 'present' ? read.records.get(id) : undefined
      const expect: Expectation = record === undefined ? 'absent' : { version: record.version }
      return { value: record?.value, version: expect }
    },
    async writeIfUnchanged({ version }, value) {
      const changes = [{ kind: 'put', id, value, expect: version as Expectation }] as const
      const outcome = await records.commit({ directory, commitId: records.newId(), changes })
      return outcome.kind === 'committed'
    },
  }
}
