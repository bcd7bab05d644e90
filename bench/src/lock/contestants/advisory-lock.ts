import pg from 'pg'
import type { Contestant } from './contestant.ts'

/** As many as hold one at once in any measure: each needs a connection of its own. */
const CONNECTIONS = 64

/**
 * PostgreSQL's own lock, which costs no write: it lives as long as its connection, has no fencing token, and is gone when the server
 * restarts or a pooler gives the connection to another.
 */
export const advisoryLock: Contestant = {
  async connect(address) {
    const pool = new pg.Pool({ connectionString: address, max: CONNECTIONS })
    return {
      async acquire(name) {
        const client = await pool.connect()
        await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [name])
        return {
          async release() {
            await client.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [name])
            client.release()
          },
        }
      },
    }
  },
}
