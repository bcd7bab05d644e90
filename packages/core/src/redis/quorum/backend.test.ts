import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import type { Backend } from '../../backend.ts'
import { RefusedError, UnavailableError, UnsupportedError } from '../../errors.ts'
import { acquireLease, tryAcquireLease } from '../../lease/acquire.ts'
import type { Grant, LeaseRequest } from '../../ports/leases.ts'
import type { FaultProxy } from '../../testing/index.ts'
import { createFaultProxy } from '../../testing/index.ts'
import type { RedisQuorumOptions } from '../index.ts'
import { admitRedisQuorum, redisQuorumBackend } from '../index.ts'
import { voteKey } from './keys.ts'
import { readVoteState } from './vote-state.ts'

// Longer than any test: whoever waits for it to pass does not come back.
const NEVER_MS = 60_000
// Short enough to be waited for.
const SOON_MS = 1_000
const TTL_MS = 30_000

const stops: (() => Promise<unknown> | void)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function startServers(count = 3, args: readonly string[] = []): Promise<RedisServer[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => startRedis({ args })))
  for (const server of servers) stops.push(() => server.stop())
  return servers
}

/** Servers that may vote. */
async function quorum(options: Partial<RedisQuorumOptions> = {}): Promise<RedisServer[]> {
  const servers = await startServers()
  await admitRedisQuorum({ nodes: nodesOf(servers), ...options })
  return servers
}

function nodesOf(servers: readonly RedisServer[]): { readonly url: string }[] {
  return servers.map(({ url }) => ({ url }))
}

function open(nodes: RedisQuorumOptions['nodes'], options: Partial<RedisQuorumOptions> = {}): Backend {
  const backend = redisQuorumBackend({ nodes, ...options })
  stops.push(() => backend.close())
  return backend
}

/** A client whose links to the servers can be cut. */
async function openBehind(
  servers: readonly RedisServer[],
  options: Partial<RedisQuorumOptions> = {},
): Promise<{ readonly backend: Backend; readonly links: readonly FaultProxy[] }> {
  const links = await Promise.all(servers.map(({ port }) => createFaultProxy({ target: { host: '127.0.0.1', port } })))
  for (const link of links) stops.push(() => link.close())
  const backend = open(
    links.map(({ connectString }) => ({ url: `redis://${connectString}` })),
    options,
  )
  return { backend, links }
}

function request(backend: Backend, resource = 'stock', ttlMs = TTL_MS): LeaseRequest {
  const requestId = backend.leases.newRequestId()
  return { resource, requestId, ttlMs, allowProvisional: false, meta: '{}' }
}

async function take(backend: Backend, ttlMs?: number): Promise<Grant> {
  const outcome = await backend.leases.tryGrant(request(backend, 'stock', ttlMs))
  if (outcome.kind === 'granted') return outcome.grant
  throw new Error('It is held.')
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

/** On which servers somebody has the vote. */
async function votes(servers: readonly RedisServer[], resource = 'stock'): Promise<readonly number[]> {
  const found = await Promise.all(
    servers.map(async ({ url }) => {
      const admin = new Redis(url)
      const key = voteKey('hf', resource)
      const [state, leftMs] = await Promise.all([admin.get(key), admin.pttl(key)])
      admin.disconnect()
      return readVoteState(state ?? '', leftMs)
    }),
  )
  return found.flatMap((vote, index) => (vote === undefined ? [] : [index]))
}

async function eventually(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await sleep(10)
}

describe('A quorum that loses servers', () => {
  it('goes on with one of three killed, and says at once that it cannot with two', async () => {
    const servers = await quorum()
    const backend = open(nodesOf(servers), { commandTimeoutMs: NEVER_MS })
    const first = await take(backend)
    await servers[0]?.kill()
    expect(await backend.leases.release(first)).toBe('released')
    const second = await take(backend)
    expect(second.token > first.token).toBe(true)
    await servers[1]?.kill()
    await eventually(() => backend.health.current.kind === 'suspended')
    const error = await refusal(backend.leases.tryGrant(request(backend, 'other')))
    expect(error).toBeInstanceOf(UnavailableError)
    expect((error as Error).message).toContain('Fewer than 2 of the 3 servers')
    await expect(backend.leases.renew([{ grant: second, ttlMs: TTL_MS }])).rejects.toThrow(UnavailableError)
  })

  it('counts no vote of servers that were started empty, and says for how long', async () => {
    const servers = await quorum()
    const [one, other] = [open(nodesOf(servers)), open(nodesOf(servers))]
    await take(one)
    await Promise.all([servers[1]?.restart({ keepData: false }), servers[2]?.restart({ keepData: false })])
    const error = await refusal(other.leases.tryGrant(request(other)))
    expect(error).toBeInstanceOf(UnavailableError)
    expect((error as Error).message).toMatch(/may vote in \d{5} ms: it is new, or was started or emptied/)
  })

  it('counts their votes once every lease that they may have forgotten is over', async () => {
    const short = { maxTtlMs: SOON_MS }
    const servers = await quorum(short)
    const [one, other] = [open(nodesOf(servers), short), open(nodesOf(servers), short)]
    const grant = await take(one, SOON_MS)
    await Promise.all([servers[1]?.restart({ keepData: false }), servers[2]?.restart({ keepData: false })])
    await other.ready({ timeoutMs: 20_000 })
    const next = await other.leases.grant(request(other, 'stock', SOON_MS))
    expect(grant.deadline.remainingMs()).toBeLessThanOrEqual(0)
    expect(next.token > grant.token).toBe(true)
  })

  it('counts no vote of servers that were emptied while their clients were connected', async () => {
    const servers = await quorum()
    const [one, other] = [open(nodesOf(servers)), open(nodesOf(servers))]
    await take(one)
    await other.ready()
    for (const { url } of servers.slice(1)) {
      const admin = new Redis(url)
      await admin.flushall()
      admin.disconnect()
    }
    expect(await refusal(other.leases.tryGrant(request(other)))).toBeInstanceOf(UnavailableError)
    expect(other.health.current.kind).toBe('suspended')
  })

  it('keeps a lease while its servers are started empty one after the other', async () => {
    const short = { maxTtlMs: 3 * SOON_MS }
    const servers = await quorum(short)
    const backend = open(nodesOf(servers), short)
    const lease = await acquireLease(backend, 'stock', { ttlMs: 3 * SOON_MS })
    for (const [index, server] of servers.entries()) {
      await server.restart({ keepData: false })
      await eventually(async () => (await votes(servers)).includes(index))
    }
    lease.assertHeld()
    expect(await lease.release()).toBe('released')
    await eventually(async () => (await votes(servers)).length === 0)
  }, 60_000)

  it('does not wait for a server that is silent, and leaves nothing on it', async () => {
    const servers = await quorum()
    const backend = open(nodesOf(servers), { commandTimeoutMs: NEVER_MS })
    await backend.ready()
    await servers[2]?.kill('SIGSTOP')
    const grant = await take(backend)
    expect(await backend.leases.release(grant)).toBe('released')
    await servers[2]?.kill('SIGCONT')
    await eventually(async () => (await votes(servers)).length === 0)
  })
})

describe('Votes of a quorum', () => {
  it('are given back also where they come late', async () => {
    const servers = await quorum()
    const holder = await openBehind(servers)
    holder.links[2]?.refuse()
    const grant = await take(holder.backend)
    const { backend, links } = await openBehind(servers, { commandTimeoutMs: NEVER_MS })
    await backend.ready()
    links[2]?.hold()
    expect((await backend.leases.tryGrant(request(backend))).kind).toBe('held')
    expect(await votes(servers)).toEqual([0, 1])
    links[2]?.heal()
    await holder.backend.leases.release(grant)
    await eventually(async () => (await votes(servers)).length === 0)
  })

  it('that are split by three contenders at once go to one after the other', async () => {
    const servers = await quorum()
    const backends = [open(nodesOf(servers)), open(nodesOf(servers)), open(nodesOf(servers))]
    await Promise.all(backends.map(backend => backend.ready()))
    let inside = 0
    let last = 0n
    const contend = async (backend: Backend): Promise<void> => {
      for (let round = 0; round < 20; round += 1) {
        const grant = await backend.leases.grant(request(backend))
        expect((inside += 1)).toBe(1)
        expect(grant.token.value).toBeGreaterThan(last)
        last = grant.token.value
        inside -= 1
        await backend.leases.release(grant)
      }
    }
    await Promise.all(backends.map(contend))
    await eventually(async () => (await votes(servers)).length === 0)
  }, 30_000)

  it('are of no use to a client that is cut off from a majority, until it is there again', async () => {
    const servers = await quorum()
    const { backend, links } = await openBehind(servers)
    await backend.ready()
    for (const link of links.slice(1)) {
      link.refuse()
      link.dropConnections()
    }
    await eventually(() => backend.health.current.kind === 'suspended')
    expect(await refusal(backend.leases.tryGrant(request(backend)))).toBeInstanceOf(UnavailableError)
    expect(await tryAcquireLease(open(nodesOf(servers)), 'stock', { waitMs: 5_000 })).toBeDefined()
    for (const link of links.slice(1)) link.heal()
    await eventually(() => backend.health.current.kind === 'ready')
    expect((await backend.leases.tryGrant(request(backend))).kind).toBe('held')
  })

  it('are told one by one, with why there was none', async () => {
    const seen: unknown[] = []
    const listen = (message: unknown): void => void seen.push(message)
    subscribe('holdfast:redis.vote', listen)
    stops.push(() => void unsubscribe('holdfast:redis.vote', listen))
    const servers = await quorum()
    const [one, other] = [open(nodesOf(servers)), open(nodesOf(servers))]
    await take(one)
    await eventually(() => seen.length === 3)
    await other.leases.tryGrant(request(other))
    await eventually(() => seen.length === 6)
    const answers = seen.map(message => (message as { readonly answer: string }).answer)
    expect(answers).toEqual(['yes', 'yes', 'yes', 'held', 'held', 'held'])
    const names = seen.slice(0, 3).map(message => (message as { readonly server: string }).server)
    expect(names.sort()).toEqual(servers.map(({ port }) => `127.0.0.1:${port}`).sort())
  })
})

describe('What a quorum refuses', () => {
  it('is a server that stands in it twice, under two addresses', async () => {
    const [one, other] = await startServers(2)
    const nodes = [{ url: one?.url ?? '' }, { url: other?.url ?? '' }, { url: `redis://localhost:${one?.port}` }]
    const backend = open(nodes)
    await expect(backend.ready()).rejects.toThrow('Expected `nodes` to be different servers')
    await expect(backend.leases.tryGrant(request(backend))).rejects.toThrow('would give two votes')
  })

  it('is a server of a Cluster', async () => {
    const [member] = await startServers(1, ['--cluster-enabled', 'yes'])
    const backend = open(nodesOf([...(await startServers(2)), member as RedisServer]))
    await expect(backend.ready()).rejects.toThrow(UnsupportedError)
    await expect(backend.leases.tryGrant(request(backend))).rejects.toThrow('runs in the mode cluster')
  })

  it('is a lease longer than a server that was emptied stays out', async () => {
    const backend = open(nodesOf(await quorum()))
    await expect(backend.leases.tryGrant(request(backend, 'stock', 60_001))).rejects.toThrow(
      '`maxTtlMs` of 60000 ms, got 60001',
    )
  })

  it('is a guard, and any use of a token, without fencing', async () => {
    const backend = open(nodesOf(await quorum()), { fencing: false })
    const lease = await acquireLease(backend, 'stock', {})
    expect(() => lease.token).toThrow(UnsupportedError)
    expect(await lease.release()).toBe('released')
    const guard = { raise: async () => {} }
    await expect(acquireLease(backend, 'stock', { guard })).rejects.toThrow('`fencing: false`')
  })

  it('is to let servers vote at once that vote already, or that came back with their data', async () => {
    const servers = await quorum()
    const options = { nodes: nodesOf(servers) }
    await expect(admitRedisQuorum(options)).rejects.toThrow('votes already')
    const durable = await Promise.all([0, 1, 2].map(() => startRedis({ appendonly: true })))
    for (const server of durable) stops.push(() => server.stop())
    const returned = { nodes: nodesOf(durable) }
    await admitRedisQuorum(returned)
    await durable[1]?.restart()
    const error = await refusal(
      admitRedisQuorum({ ...returned, nodes: nodesOf([...servers.slice(1), durable[1] as RedisServer]) }),
    )
    expect(error).toBeInstanceOf(RefusedError)
    const again = open(nodesOf(durable))
    await take(again)
    await expect(admitRedisQuorum(returned)).rejects.toThrow('not new')
  })
})

describe('A quorum', () => {
  it('promises leases where no server evicts keys, and no more than advice where one does', async () => {
    const servers = await quorum()
    const backend = open(nodesOf(servers))
    await backend.ready()
    expect(backend.leases.guarantee).toBe('lease')
    const [evicting] = await startServers(1, ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    const other = open(nodesOf([...servers.slice(1), evicting as RedisServer]))
    await other.ready()
    await eventually(() => other.leases.guarantee === 'advisory')
  })

  it('needs no more rights than these, with a prefix that Lua would read otherwise', async () => {
    const servers = await startServers()
    const prefix = `it's "a\\n" ]] ü`
    const rights = '+eval +evalsha +script|load +info +time +get +set +psetex +pttl +pexpire +del +ping'.split(' ')
    const nodes = servers.map(({ url }) => ({ url: url.replace('//', '//voter:secret@') }))
    for (const { url } of servers) {
      const admin = new Redis(url)
      await admin.call('ACL', 'SETUSER', 'voter', 'on', '>secret', '~*:quorum:*', ...rights)
      admin.disconnect()
    }
    await admitRedisQuorum({ nodes, prefix })
    for (const fencing of [true, false]) {
      const backend = open(nodes, { prefix, fencing })
      const lease = await acquireLease(backend, 'stock', { renew: false })
      await lease.extend(20_000)
      expect((await backend.leases.inspect('stock')).holders).toHaveLength(1)
      expect((await backend.leases.tryGrant(request(backend))).kind).toBe('held')
      expect(await lease.release()).toBe('released')
    }
  })

  it('opens connections of its own beside clients that are given, and leaves those open', async () => {
    const servers = await quorum()
    const clients = servers.map(({ url }) => new Redis(url))
    const backend = open(clients.map(client => ({ client })))
    await backend.leases.release(await take(backend))
    await backend.close()
    for (const client of clients) {
      expect(await client.ping()).toBe('PONG')
      client.disconnect()
    }
  })

  it('votes for clients that have a prefix of their own before keys, under rights that end with it', async () => {
    const servers = await startServers()
    const clients: Redis[] = []
    for (const { url } of servers) {
      const admin = new Redis(url)
      await admin.call('ACL', 'SETUSER', 'voter', 'on', '>secret', '~app:hf:quorum:*', '+@all')
      admin.disconnect()
      clients.push(new Redis(url.replace('//', '//voter:secret@'), { keyPrefix: 'app:' }))
    }
    stops.push(() => clients.forEach(client => client.disconnect()))
    const nodes = clients.map(client => ({ client }))
    await admitRedisQuorum({ nodes })
    const backend = open(nodes)
    const grant = await take(backend)
    expect((await backend.leases.tryGrant(request(backend))).kind).toBe('held')
    expect(await backend.leases.release(grant)).toBe('released')
  })

  it('is suspended while it is new, and says for how long', async () => {
    const backend = open(nodesOf(await startServers()))
    await expect(backend.ready({ timeoutMs: 300 })).rejects.toThrow(/may vote in \d{5} ms/)
    expect(backend.health.current.kind).toBe('suspended')
    const reason = new Error('enough')
    const abort = new AbortController()
    const ready = backend.ready({ timeoutMs: NEVER_MS, signal: abort.signal })
    abort.abort(reason)
    expect(await refusal(ready)).toBe(reason)
  })

  it('goes on with a wait while too few servers can be reached, however long a command may take', async () => {
    const servers = await quorum()
    const [holder, waiter] = [open(nodesOf(servers)), await openBehind(servers, { commandTimeoutMs: 100 })]
    const grant = await take(holder)
    let isQueued = false
    const waiting = waiter.backend.leases.grant(request(waiter.backend), undefined, () => (isQueued = true))
    waiting.catch(() => {})
    await eventually(() => isQueued)
    for (const link of waiter.links) {
      link.refuse()
      link.dropConnections()
    }
    await eventually(() => waiter.backend.health.current.kind === 'suspended')
    await holder.leases.release(grant)
    await sleep(500)
    for (const link of waiter.links) link.heal()
    expect(await waiting).toHaveProperty('ttlMs', TTL_MS)
  })

  it('ends a wait at once when it is closed', async () => {
    const servers = await quorum()
    const [one, other] = [open(nodesOf(servers)), open(nodesOf(servers))]
    await take(one)
    const waiting = refusal(other.leases.grant(request(other)))
    await other.close()
    expect(await waiting).toMatchObject({ code: 'HF_CLOSED' })
  })
})
