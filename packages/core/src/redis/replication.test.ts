import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import { kindOf } from '../ports/leases.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'
import { Replication } from './replication.ts'

let master: RedisServer
let replicas: readonly RedisServer[]
let admin: Redis
let opened: Backend[]
let name: string

beforeAll(async () => {
  master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  const args = ['--replicaof', `127.0.0.1 ${master.port}`]
  replicas = await Promise.all([startRedis({ args }), startRedis({ args })])
  admin = new Redis(master.url)
})

afterAll(async () => {
  admin.disconnect()
  await Promise.all(replicas.map(replica => replica.stop()))
  await master.stop()
})

beforeEach(async () => {
  opened = []
  name = randomUUID()
  await wellReplicated()
})

afterEach(async () => {
  await Promise.all(opened.map(backend => backend.close()))
  await Promise.all(replicas.map(replica => replica.kill('SIGCONT')))
})

/** Both replicas have all that was written. */
async function wellReplicated(): Promise<void> {
  await expect
    .poll(
      async () => {
        await admin.set('seen', 'yes')
        return await admin.wait(2, 1_000)
      },
      { timeout: 60_000 },
    )
    .toBe(2)
}

function opening(options: Partial<RedisBackendOptions> = {}): Backend {
  const backend = redisBackend({ url: master.url, ...options })
  opened.push(backend)
  return backend
}

const stop = (index: number): Promise<void> => replicas[index]?.kill('SIGSTOP') ?? Promise.resolve()

const modes = [undefined, { kind: 'read' }, { kind: 'write' }, { kind: 'permit', limit: 2 }] as const

describe('A lease that replicas have to acknowledge', () => {
  it.each(modes)('is refused and given back when one of two does not (mode %j)', async mode => {
    const backend = opening({ replicas: 2 })
    await (await acquireLease(backend, name, {}, mode)).release()
    await stop(0)
    const error = await acquireLease(backend, name, {}, mode).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect((error as Error).message).toMatch(
      /: 1 of 2 needed replicas acknowledged the lease within 666 ms\. Ask again when so many follow/,
    )
    await expect.poll(async () => (await backend.leases.inspect(name, kindOf(mode))).holders).toEqual([])
    const lease = await acquireLease(opening(), name, { waitMs: 0 }, mode)
    expect(await lease.release()).toBe('released')
  })

  it('by a majority is granted with one of two stopped, and not with both', async () => {
    const backend = opening({ replicas: 'majority' })
    await stop(0)
    await (await acquireLease(backend, name, {})).release()
    await stop(1)
    await expect(acquireLease(backend, name, {})).rejects.toThrow('0 of 1 needed replica acknowledged')
  })

  it('is advisory all the same: another replica may be promoted', async () => {
    const lease = await acquireLease(opening({ replicas: 2 }), name, {})
    expect(lease.guarantee).toBe('advisory')
    await lease.release()
  })

  it('is renewed only when they acknowledge that, too', async () => {
    const lease = await acquireLease(opening({ replicas: 2 }), name, { ttlMs: 30_000, renew: false })
    await stop(1)
    await expect(lease.extend(60_000)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    await replicas[1]?.kill('SIGCONT')
    await wellReplicated()
    expect(await lease.extend(60_000)).toBeGreaterThan(50_000)
    expect(await lease.release()).toBe('released')
  })

  it.each(modes)('counts for one who waits only once they acknowledged it (mode %j)', async mode => {
    const plain = opening()
    const before = mode?.kind === 'read' ? ({ kind: 'write' } as const) : mode
    const held = [await acquireLease(plain, name, {}, before)]
    if (mode?.kind === 'permit') held.push(await acquireLease(plain, name, {}, before))
    let isGranted = false
    const waiting = acquireLease(opening({ replicas: 2 }), name, { ttlMs: 1_000 }, mode).then(lease => {
      isGranted = true
      return lease
    })
    await expect.poll(async () => (await plain.leases.inspect(name, kindOf(mode))).waiters.length).toBe(1)
    await stop(0)
    for (const lease of held) await lease.release()
    await expect.poll(async () => (await plain.leases.inspect(name, kindOf(mode))).waiters.length).toBe(0)
    // As long as it takes to know that the replica does not acknowledge.
    await expect(acquireLease(opening({ replicas: 2 }), randomUUID(), {})).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
    })
    expect(isGranted).toBe(false)
    await replicas[0]?.kill('SIGCONT')
    expect(await (await waiting).release()).toBe('released')
  })

  it('does not hold up what releases, and what looks', async () => {
    const backend = opening({ replicas: 2 })
    const lease = await acquireLease(backend, name, {})
    await stop(0)
    const order: string[] = []
    const failing = acquireLease(backend, randomUUID(), {}).catch(() => order.push('refused'))
    const releasing = lease.release().then(outcome => order.push(outcome))
    await Promise.all([failing, releasing])
    expect(order).toEqual(['released', 'refused'])
  })

  it('is one of hundreds that share an acknowledgement, and all of them are refused in one', async () => {
    const backend = opening({ replicas: 2 })
    const leases = await Promise.all(Array.from({ length: 300 }, () => acquireLease(backend, randomUUID(), {})))
    expect(new Set(await Promise.all(leases.map(lease => lease.release())))).toEqual(new Set(['released']))
    await stop(0)
    const asked = Array.from({ length: 300 }, () => acquireLease(backend, randomUUID(), {}))
    const refused = (await Promise.allSettled(asked)).map(each => each.status === 'rejected' && String(each.reason))
    expect(refused.filter(text => String(text).includes('1 of 2 needed'))).toHaveLength(300)
  })

  it('that others hold is refused to one who tries, whatever the replicas do', async () => {
    const lease = await acquireLease(opening(), name, {})
    const backend = opening({ replicas: 2 })
    await backend.ready()
    await stop(0)
    expect(await tryAcquireLease(backend, name, { waitMs: 0 })).toBeUndefined()
    await lease.release()
  })
})

describe('A majority', () => {
  it('is counted by the most replicas that were seen, so that a master which is cut off grants nothing', async () => {
    const backend = opening({ replicas: 'majority' })
    await (await acquireLease(backend, name, {})).release()
    const followers = replicas.map(({ url }) => new Redis(url))
    try {
      for (const follower of followers) await follower.replicaof('NO', 'ONE')
      await expect.poll(() => admin.info('replication')).toContain('connected_slaves:0')
      for (const each of [backend, opening({ replicas: 'majority' })]) {
        await expect(acquireLease(each, name, {})).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
      }
    } finally {
      for (const follower of followers) {
        await follower.replicaof('127.0.0.1', master.port)
        follower.disconnect()
      }
    }
  })

  it.each([
    [0, 1],
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 3],
  ])('of a master and %i replicas needs %i of them', (seen, needed) => {
    const replication = new Replication('majority', 100)
    replication.see(seen)
    replication.see(0)
    expect(replication.needed).toBe(needed)
  })
})

describe('The option `replicas`', () => {
  it.each([0, -1, 1.5, 101, 'all', null, '2'])('refuses %j', replicas => {
    const make = (): Backend => redisBackend({ url: 'redis://127.0.0.1:1', replicas: replicas as number })
    expect(make).toThrow(/^Expected `replicas` to be 'none', 'majority' or an integer from 1 to 100, got /)
  })
})
