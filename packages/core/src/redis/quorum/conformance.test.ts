import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../backend.ts'
import type { FaultProxy, LeaseHarness } from '../../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../../testing/index.ts'
import { admitRedisQuorum, redisQuorumBackend } from '../index.ts'
import { voteKey } from './keys.ts'
import { readVoteState } from './vote-state.ts'

const prefix = 'hf'
const proxies = new WeakMap<Backend, readonly FaultProxy[]>()
let servers: readonly RedisServer[]
let admins: readonly Redis[]

async function openBackend(): Promise<Backend> {
  const own = await Promise.all(servers.map(({ port }) => createFaultProxy({ target: { host: '127.0.0.1', port } })))
  const backend = redisQuorumBackend({ nodes: own.map(({ connectString }) => ({ url: `redis://${connectString}` })) })
  proxies.set(backend, own)
  backend.health.subscribe(health => {
    if (health.kind === 'closed') void Promise.all(own.map(proxy => proxy.close()))
  })
  return backend
}

// Of a resource whose vote is nobody's, or has ended, the state keeps the last token for a while.
async function leftovers(resource: string): Promise<readonly string[]> {
  const found = await Promise.all(
    admins.map(async admin => {
      const key = voteKey(prefix, resource)
      const [state, leftMs] = await Promise.all([admin.get(key), admin.pttl(key)])
      return readVoteState(state ?? '', leftMs)
    }),
  )
  return found.flatMap((vote, index) => (vote === undefined ? [] : [`server ${index}: ${JSON.stringify(vote)}`]))
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  const own = proxies.get(backend) ?? []
  for (const proxy of own) proxy.hold()
  return async () => {
    for (const proxy of own) proxy.heal()
  }
}

const harness: LeaseHarness = {
  openBackend,
  resource: () => randomUUID(),
  advance: ms => sleep(ms),
  stall: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  ttlMs: 500,
  slackMs: 250,
  ordering: 'none',
  waiters: 'unlisted',
  modes: 'exclusive',
  slots: false,
  leftovers,
  loseData: {
    kind: 'unsupported',
    why: 'a quorum that has lost its data serves nobody for as long as a lease may last',
  },
  silence: { kind: 'supported', run: silence },
  requests: {
    kind: 'supported',
    run: backend => (proxies.get(backend) ?? []).reduce((sum, proxy) => sum + proxy.requests, 0),
  },
}

describe('Leases of a quorum of three Redis servers', () => {
  beforeAll(async () => {
    servers = await Promise.all([startRedis(), startRedis(), startRedis()])
    admins = servers.map(({ url }) => new Redis(url))
    await admitRedisQuorum({ nodes: servers.map(({ url }) => ({ url })) })
  })

  afterAll(async () => {
    for (const admin of admins) admin.disconnect()
    await Promise.all(servers.map(server => server.stop()))
  })

  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
