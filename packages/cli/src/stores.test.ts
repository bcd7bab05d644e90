import { sharedPostgres, startZooKeeper } from '@holdfast/scripts/servers'
import { randomBytes } from 'node:crypto'
import { Pool } from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Holdfast } from './holdfast.fixture.ts'

const SCOPE = { HOLDFAST_APP: 'shop', HOLDFAST_ENV: 'test' }

const COMMANDS = [
  ['set', 'web.port=1', '--yes'],
  ['get', 'web.port'],
  ['set', 'web.port=2', '--yes', '--expect', '0'],
]
const ANSWERS = [{ code: 0, stdout: 'Published release 1.\n' }, { code: 0, stdout: '1\n', stderr: '' }, { code: 3 }]

async function answers(holdfast: Holdfast): Promise<readonly unknown[]> {
  const ran: unknown[] = []
  for (const command of COMMANDS) ran.push(await holdfast.run(command))
  return ran
}

describe('holdfast config', () => {
  it('works on PostgreSQL', async () => {
    const server = await sharedPostgres()
    const schema = `cli_${randomBytes(6).toString('hex')}`
    onTestFinished(async () => {
      const pool = new Pool({ connectionString: server.url })
      // A server of ours may end before the connection has.
      pool.on('error', () => {})
      await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      await pool.end()
      await server.stop()
    })
    const url = new URL(server.url)
    url.searchParams.set('schema', schema)
    expect(await answers(new Holdfast({ ...SCOPE, HOLDFAST_BACKEND: url.href }))).toMatchObject(ANSWERS)
  })

  it('works on ZooKeeper, with credentials', async () => {
    const server = await startZooKeeper()
    onTestFinished(() => server.stop())
    const HOLDFAST_BACKEND = `zookeeper://${server.connectString}/cli`
    const holdfast = new Holdfast({ ...SCOPE, HOLDFAST_BACKEND, HOLDFAST_ZOOKEEPER_AUTH: 'ann:hunter2' })
    expect(await answers(holdfast)).toMatchObject(ANSWERS)
  })
})
