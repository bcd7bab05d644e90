import { randomUUID } from 'node:crypto'
import type { SharedZooKeeper } from '@holdfast/scripts/servers'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leaseConformance } from '../testing/index.ts'
import { grantedSessionMs, zooKeeperHarness } from './lease-harness.fixture.ts'
import { RawClient } from './raw-client.fixture.ts'

// The server may be the user's: nothing outside of this node is touched.
const top = `/hf-conformance-${randomUUID()}`
const SESSION_MS = 4_000
let server: SharedZooKeeper
let raw: RawClient
let ttlMs: number

/** Where kazoo's layout is another than what stores promise: its mutex is its write lock, and a semaphore has one limit for all. */
const KAZOO_DIFFERS: readonly string[] = [
  'Who holds a name alone, its readers and writers, and its permits have nothing to do with each other.',
  '`inspect` shows each lock of a name by itself: its holders with mode, slot and token, and its waiters with mode.',
  'Where limits differ each goes by its own, and the first in the queue holds up those behind it.',
  'A waiter with a smaller limit that gives up, by abort or by closing its client, lets in those behind it at once.',
]

/** The cases of the layouts that differ beyond a name. */
const MODES = /reader|writer|permit|downgrade|limit/i

describe('Leases in ZooKeeper', () => {
  beforeAll(async () => {
    server = await sharedZooKeeper()
    ttlMs = await grantedSessionMs(server.connectString, SESSION_MS)
    // Cases stall the event loop for longer than a lease lasts, and this session must outlive that.
    raw = await RawClient.connect(server.connectString, { sessionTimeout: 30_000, retries: 3 })
  })

  afterAll(async () => {
    await raw.removeTree(top)
    raw.close()
    await server.stop()
  })

  for (const naming of ['curator', 'kazoo'] as const) {
    describe(`as ${naming} names them`, () => {
      const differs = naming === 'kazoo' ? KAZOO_DIFFERS : []
      const root = `${top}/${naming}`
      const harness = zooKeeperHarness(() => {
        const { connectString } = server
        return { connectString, root, naming, sessionMs: SESSION_MS, ttlMs, raw }
      })
      // What the two layouts have in common is run once.
      const all = leaseConformance(harness)
      const cases = naming === 'curator' ? all : all.filter(({ name }) => MODES.test(name) || differs.includes(name))

      beforeAll(() => raw.mkdirp(root))

      for (const { promise, name, run } of cases.filter(one => !differs.includes(one.name))) {
        it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
          expect(await run()).toBeUndefined()
        })
      }

      it('does otherwise only where it is known to', async () => {
        const others = cases.filter(one => differs.includes(one.name))
        expect(others.map(({ name }) => name).sort()).toEqual([...differs].sort())
        for (const { run } of others) await expect(run()).rejects.toBeInstanceOf(Error)
      })
    })
  }
})
