import { postgresBackend } from '@holdfast/core/postgres'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'

/** Ours on PostgreSQL, with every option at its default: fenced, renewed, in rows that outlive a crash. */
export const holdfastPostgres: Contestant = {
  async connect(address) {
    const backend = postgresBackend({ url: address })
    await backend.ready()
    const locks = createLocks({ backend })
    return { acquire: name => locks.acquire(name) }
  },
}
