import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '@holdfast/core'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import type { PostgresServer, SharedRedis, SharedZooKeeper } from '@holdfast/scripts/servers'
import { sharedRedis, sharedZooKeeper, startPostgres } from '@holdfast/scripts/servers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

// Redis and ZooKeeper may be the user's: nothing of the test stays there for long.
const TENANT = `test-${randomUUID().slice(0, 8)}`

let redis: SharedRedis
let postgres: PostgresServer
let zookeeper: SharedZooKeeper
const open: Backend[] = []

beforeAll(async () => {
  ;[redis, postgres, zookeeper] = await Promise.all([sharedRedis(), startPostgres(), sharedZooKeeper()])
}, 60_000)

afterEach(async () => {
  await Promise.all(open.splice(0).map(backend => backend.close()))
})

afterAll(async () => {
  await Promise.all([redis, postgres, zookeeper].map(server => server.stop()))
})

/** The locks of one more process. */
function locksOn(make: () => Backend): { readonly locks: Locks; readonly backend: Backend } {
  const backend = make()
  open.push(backend)
  return { locks: createLocks({ backend }), backend }
}

const onRedis = (): Backend => redisBackend({ url: redis.url, prefix: TENANT })
const onPostgres = (): Backend => postgresBackend({ url: postgres.url })
const onZooKeeper = (): Backend => zookeeperBackend({ connect: zookeeper.connectString, root: `/${TENANT}` })

describe.each([
  ['Redis', onRedis],
  ['PostgreSQL', onPostgres],
  ['ZooKeeper', onZooKeeper],
])('On %s', (_name, make) => {
  it('a holder hears that another process asks for the lock, and gives it to him', async () => {
    const [holder, asker] = [locksOn(make).locks, locksOn(make).locks]
    const lease = await holder.acquire('asked')
    const asked = new Promise<void>(resolve => lease.onRevoke(resolve))
    const waits = asker.acquire('asked', { waitMs: 10_000 })
    expect(await asker.mutex('asked').requestRevocation()).toBe(1)
    await asked
    lease.assertHeld()
    await lease.release()
    expect((await waits).token.value).toBeGreaterThan(lease.token.value)
  })
})

describe.each([
  ['Redis', onRedis],
  ['PostgreSQL', onPostgres],
])('On %s', (_name, make) => {
  it('all readers hear it, and a permit', async () => {
    const [holder, asker] = [locksOn(make).locks, locksOn(make).locks]
    const leases = [
      await holder.readWrite('shared').read.acquire(),
      await holder.readWrite('shared').read.acquire(),
      await holder.semaphore('shared', { limit: 2 }).acquire(),
    ]
    const heard = leases.map(lease => new Promise<void>(resolve => lease.onRevoke(resolve)))
    expect(await asker.readWrite('shared').read.requestRevocation()).toBe(2)
    expect(await asker.semaphore('shared', { limit: 2 }).requestRevocation()).toBe(1)
    expect(await asker.mutex('shared').requestRevocation()).toBe(0)
    await Promise.all(heard)
  })

  it('lockDelayMs keeps others out after a holder that never released, and not after one that did', async () => {
    const [holder, other] = [locksOn(make).locks, locksOn(make).locks]
    const released = await holder.acquire('delayed', { ttlMs: 300, lockDelayMs: 60_000, renew: false })
    await released.release()
    expect(await (await other.acquire('delayed', { waitMs: 5_000 })).release()).toBe('released')
    const lost = await holder.acquire('delayed', { ttlMs: 300, lockDelayMs: 60_000, renew: false })
    await new Promise<void>(resolve => lost.signal.addEventListener('abort', () => resolve()))
    expect(await other.tryAcquire('delayed')).toBeUndefined()
    const { holder: kept } = await other.inspect('delayed')
    expect(kept?.remainingMs).toBeGreaterThan(30_000)
  })

  it('a lock of lockAtLeastForMs goes to one who waits when the time is over, and survives a close', async () => {
    const { locks, backend } = locksOn(make)
    const other = locksOn(make).locks
    const lease = await locks.acquire('at-least', { lockAtLeastForMs: 1_000 })
    expect(await lease.release()).toBe('released')
    expect(await other.tryAcquire('at-least')).toBeUndefined()
    const granted = await other.acquire('at-least', { waitMs: 15_000 })
    await granted.release()
    const again = await locks.acquire('at-least', { lockAtLeastForMs: 60_000 })
    await again.release()
    await backend.close()
    const { holder } = await other.inspect('at-least')
    expect(holder?.remainingMs).toBeGreaterThan(30_000)
  })

  it('many locks that are taken together meet in one order, and hand over to each other', async () => {
    const processes = Array.from({ length: 4 }, () => locksOn(make).locks)
    const names = ['m1', 'm2', 'm3']
    let inside = 0
    let most = 0
    const uses = processes.flatMap((locks, index) =>
      Array.from({ length: 5 }, () =>
        locks.all(index % 2 === 0 ? names : [...names].reverse()).using(
          async lease => {
            inside += 1
            most = Math.max(most, inside)
            await sleep(1)
            lease.assertHeld()
            inside -= 1
          },
          { waitMs: 60_000 },
        ),
      ),
    )
    await Promise.all(uses)
    expect(most).toBe(1)
  })
})

describe('On ZooKeeper', () => {
  it('lockDelayMs and lockAtLeastForMs are refused, with the reason', async () => {
    const { locks } = locksOn(onZooKeeper)
    await expect(locks.acquire('r', { lockDelayMs: 5_000 })).rejects.toMatchObject({
      code: 'HF_UNSUPPORTED',
      message: expect.stringContaining('has no `lockDelayMs` (5000)') as string,
    })
    await expect(locks.acquire('r', { lockAtLeastForMs: 5_000 })).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
    expect((await locks.inspect('r')).waiters).toEqual([])
  })
})
