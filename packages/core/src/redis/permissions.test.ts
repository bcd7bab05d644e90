/*
 * What a restricted user of Redis needs. For a backend with the prefix `hf` that is also where fences keep their records:
 *
 *   ACL SETUSER shop on >secret resetchannels &hf:inbox:* ~hf:*
 *     +evalsha +eval +script|load            the steps of leases, and fences
 *     +time +get +set +setrange +exists +del +pttl +pexpire +publish
 *     +hget +hset +hsetnx +hmget +hdel +hlen  what the steps run
 *     +zadd +zrem +zscore +zcard +zcount +zrange   and those of readers, writers and permits
 *     +hgetall                               inspect
 *     +subscribe +unsubscribe                hearing of hand-offs
 *     +ping                                  ready()
 *
 *   +info +config|get    optional: without them every guarantee is `advisory`, and nothing is held back after a restart.
 *   +wait                with `replicas`, and for 'majority' +info
 *
 * A fence also needs `~` of the protected keys and the commands on them.
 */
import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import { kindOf } from '../ports/leases.ts'
import { redisBackend, redisFence } from './index.ts'

const STEPS = '+time +get +set +setrange +exists +del +pttl +pexpire +publish +hget +hset +hsetnx +hmget +hdel +hlen'
const SHARED_STEPS = '+zadd +zrem +zscore +zcard +zcount +zrange'
const NEEDED = `+evalsha +eval +script|load ${STEPS} ${SHARED_STEPS} +hgetall +subscribe +unsubscribe +ping`.split(' ')
const OPTIONAL = ['+info', '+config|get']

let server: RedisServer
let admin: Redis
let user: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  server = await startRedis({ appendonly: 'always' })
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

beforeEach(() => {
  user = `user-${randomUUID()}`
  opened = []
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

async function allow(rules: readonly string[]): Promise<void> {
  await admin.acl('SETUSER', user, 'reset', 'on', '>secret', '~hf:*', '&hf:inbox:*', ...rules)
}

function opening(): Backend {
  const backend = redisBackend({ url: `redis://${user}:secret@127.0.0.1:${server.port}`, commandTimeoutMs: 30_000 })
  opened.push(() => backend.close())
  return backend
}

/** Everything that a lock does, in each mode: a hand-off, one who gives up, an expired holder, a batch, inspect. */
async function everything(backend: Backend): Promise<void> {
  await backend.ready()
  const resource = randomUUID()
  for (const mode of [undefined, { kind: 'write' }, { kind: 'permit', limit: 1 }] as const) {
    const kind = kindOf(mode)
    const lease = await acquireLease(backend, resource, { ttlMs: 30_000 }, mode)
    const waiting = acquireLease(backend, resource, { ttlMs: 30_000 }, mode)
    await expect.poll(async () => (await backend.leases.inspect(resource, kind)).waiters.length).toBe(1)
    expect(await tryAcquireLease(backend, resource, { waitMs: 1_000 }, mode)).toBeUndefined()
    await lease.release()
    await (await waiting).release()
    await acquireLease(backend, resource, { ttlMs: 100, renew: false }, mode)
    await (await acquireLease(backend, resource, {}, mode)).release()
    const some = await Promise.all(Array.from({ length: 5 }, () => acquireLease(backend, randomUUID(), {}, mode)))
    await Promise.all(some.map(held => held.release()))
  }
  const pool = { kind: 'permit', limit: 9 } as const
  const permits = await Promise.all(Array.from({ length: 5 }, () => acquireLease(backend, resource, {}, pool)))
  await Promise.all(permits.map(permit => permit.release()))
}

describe('A restricted user', () => {
  it('with exactly what is needed can do everything that a lock does', async () => {
    await allow([...NEEDED, ...OPTIONAL])
    const backend = opening()
    await everything(backend)
    expect(backend.leases.guarantee).toBe('lease')
    expect(await admin.acl('LOG')).toEqual([])
  })

  it('who may not use sorted sets gets locks that are held alone, and is refused the others', async () => {
    await allow([...NEEDED, ...OPTIONAL].filter(rule => !rule.startsWith('+z')))
    const backend = opening()
    const lease = await acquireLease(backend, randomUUID(), {})
    const refused = acquireLease(backend, randomUUID(), {}, { kind: 'read' })
    await expect(refused).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(await lease.release()).toBe('released')
    await admin.acl('LOG', 'RESET')
  })

  it('who may not ask what the server is gets locks all the same, as advisory ones', async () => {
    await allow(NEEDED)
    const backend = opening()
    await everything(backend)
    expect(backend.leases.guarantee).toBe('advisory')
    await admin.acl('LOG', 'RESET')
  })

  it('can fence writes to keys that he may write', async () => {
    await allow([...NEEDED, ...OPTIONAL, '~stock:*', '+decrby'])
    const client = new Redis(`redis://${user}:secret@127.0.0.1:${server.port}`)
    opened.push(() => client.disconnect())
    const resource = `stock:${randomUUID()}`
    const guard = redisFence(client)
    const lease = await acquireLease(opening(), resource, { guard })
    expect(await guard.apply({ resource, token: lease.token, commands: [['DECRBY', resource, 1]] })).toEqual([-1])
    const forbidden = guard.apply({ resource, token: lease.token, commands: [['INCR', resource]] })
    await expect(forbidden).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await admin.acl('LOG', 'RESET')
  })

  it.each(['+evalsha', '+eval', '+script|load', '+time', '+get', '+set'])(
    'who lacks %s is refused in a sentence, at once',
    async missing => {
      await allow([...NEEDED, ...OPTIONAL].filter(rule => rule !== missing))
      const error = await acquireLease(opening(), randomUUID(), {}).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'HF_REFUSED' })
      expect((error as Error).message).toMatch(/^Redis refused: .*(no permissions to run|can't run this command)/)
      await admin.acl('LOG', 'RESET')
    },
  )

  it('who may not use the prefix is refused', async () => {
    await allow([...NEEDED, 'resetkeys', '~other:*'])
    const error = await acquireLease(opening(), randomUUID(), {}).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'HF_REFUSED' })
    await admin.acl('LOG', 'RESET')
  })

  it.each([
    ['subscribe', NEEDED.filter(rule => rule !== '+subscribe')],
    ['use the channel', [...NEEDED, 'resetchannels', '&other:*']],
  ])('who may not %s is refused when he has to wait, and leaves no connections behind', async (_what, rules) => {
    // Seen here: each one who had to wait left another connection that stayed for good.
    const resource = randomUUID()
    await acquireLease(redisBackendOfAdmin(), resource, { ttlMs: 30_000 })
    await allow([...rules, ...OPTIONAL])
    const backend = opening()
    await backend.ready()
    for (let round = 0; round < 5; round += 1) {
      const error = await acquireLease(backend, resource, {}).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'HF_REFUSED' })
      expect((error as Error).message).toMatch(/no permissions/i)
    }
    await expect.poll(async () => String(await admin.client('LIST')).split(`user=${user}`).length - 1).toBe(1)
    expect((await backend.leases.inspect(resource)).waiters).toEqual([])
    await admin.acl('LOG', 'RESET')
  })

  it('with a wrong password is told what the server said', async () => {
    await allow(NEEDED)
    const backend = redisBackend({ url: `redis://${user}:wrong@127.0.0.1:${server.port}`, commandTimeoutMs: 500 })
    opened.push(() => backend.close())
    const error = await acquireLease(backend, randomUUID(), {}).catch((reason: unknown) => reason)
    expect((error as Error).message).toContain('WRONGPASS')
    expect((error as Error).message).not.toContain(':wrong@')
  })
})

function redisBackendOfAdmin(): Backend {
  const backend = redisBackend({ client: admin })
  opened.push(() => backend.close())
  return backend
}
