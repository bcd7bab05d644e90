import { postgresBackend } from '@holdfast/core/postgres'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'
import { holdfastClient } from './holdfast-client.ts'

/** Ours on PostgreSQL, with every option at its default: fenced, renewed, in rows that outlive a crash. */
export const holdfastPostgres: Contestant = {
  async connect(address, ttlMs) {
    const backend = postgresBackend({ url: address })
    await backend.ready()
    return holdfastClient(createLocks({ backend, ...(ttlMs === undefined ? {} : { ttlMs }) }))
  },
}
