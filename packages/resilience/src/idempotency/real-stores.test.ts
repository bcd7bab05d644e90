import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '@holdfast/core'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { createFaultProxy } from '@holdfast/core/testing'
import type { SharedPostgres, SharedRedis } from '@holdfast/scripts/servers'
import { sharedPostgres, sharedRedis } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { CallOptions } from '../index.ts'
import { idempotent } from '../index.ts'

// Long enough that no process is kept from renewing for so long, on a busy machine.
const LEASE_MS = 3_000
// The Redis may be the user's: nothing of the test stays there for long.
const KEEP_MS = 60_000
const TENANT = `test-${randomUUID().slice(0, 8)}`

let redis: SharedRedis
let postgres: SharedPostgres

beforeAll(async () => {
  redis = await sharedRedis()
  postgres = await sharedPostgres()
})

afterAll(async () => {
  const { Pool } = (await import('pg')).default
  const admin = new Pool({ connectionString: postgres.url, max: 1 })
  await admin.query(`DROP SCHEMA IF EXISTS "${TENANT}" CASCADE`)
  await admin.end()
  await redis.stop()
  await postgres.stop()
})

/** A store, by the address of its server. */
interface Store {
  readonly kind: 'redis' | 'postgres'
  url(): string
  open(url: string): Backend
}

const STORES: readonly Store[] = [
  { kind: 'redis', url: () => redis.url, open: url => redisBackend({ url, prefix: TENANT }) },
  { kind: 'postgres', url: () => postgres.url, open: url => postgresBackend({ url, schema: TENANT }) },
]

function opened({ open, url }: Store, address = url()): Backend {
  const backend = open(address)
  onTestFinished(() => backend.close())
  return backend
}

function same(): CallOptions {
  return { idempotencyKey: randomUUID(), fingerprint: { amount: 5 } }
}

// A process of its own: it takes a key, says with which fence, is at it until it is told to stop, and says what became of its result.
const OWNER = `
  const [core, name, resilience, settings] = process.argv.slice(1)
  const { url, tenant, key, leaseMs } = JSON.parse(settings)
  const { idempotent } = await import(resilience)
  const make = await import(core)
  const backend = name === 'redis' ? make.redisBackend({ url, prefix: tenant }) : make.postgresBackend({ url, schema: tenant })
  const once = idempotent({ backend, scope: 'kill', leaseMs, keepMs: 60_000 })
  const holding = setInterval(() => {}, 1_000)
  const work = ({ fence, signal }) => {
    process.stdout.write(String(fence) + '\\n')
    return new Promise(resolve => signal.addEventListener('abort', () => resolve('first')))
  }
  const outcome = await once.execute(work, { idempotencyKey: key }).catch(error => error.code)
  process.stdout.write(outcome)
  clearInterval(holding)
  await backend.close()
`

async function ownerProcess({ kind, url }: Store, key: string) {
  const core = import.meta.resolve(`@holdfast/core/${kind}`)
  const resilience = new URL('../../dist/index.js', import.meta.url).href
  const settings = JSON.stringify({ url: url(), tenant: TENANT, key, leaseMs: LEASE_MS })
  const args = ['--input-type=module', '-e', OWNER, core, kind, resilience, settings]
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, fence: BigInt(String(line).trim()) }
}

describe.each(STORES)('idempotent on $kind', store => {
  it('of 50 calls with one key, from two processes at once, runs one, and all have its result', async () => {
    const policies = [opened(store), opened(store)].map(backend =>
      idempotent({ backend, scope: 'race', whenInFlight: 'wait', keepMs: KEEP_MS }),
    )
    for (let round = 0; round < 3; round += 1) {
      const options = same()
      let runs = 0
      const work = async (): Promise<{ readonly run: number }> => {
        runs += 1
        await sleep(20)
        return { run: runs }
      }
      const calls = Array.from({ length: 50 }, (_, index) => policies[index % 2]?.execute(work, options))
      const results = await Promise.all(calls)
      expect(runs).toBe(1)
      for (const result of results) expect(result).toEqual({ run: 1 })
    }
  })

  it('an owner whose link is silent for longer than its lease is told to stop, and cannot overwrite its successor', async () => {
    const server = new URL(store.url())
    const port = Number(server.port || (store.kind === 'redis' ? 6379 : 5432))
    const proxy = await createFaultProxy({ target: { host: server.hostname || '127.0.0.1', port } })
    onTestFinished(() => proxy.close())
    server.host = `127.0.0.1:${proxy.port}`
    const [slow, fast] = [opened(store, server.href), opened(store)].map(backend =>
      // A renewal that was on its way counts for the store, and not for its owner, who has no answer: the key may come free a little later.
      idempotent({ backend, scope: 'stall', leaseMs: LEASE_MS, keepMs: KEEP_MS, whenInFlight: 'wait' }),
    )
    const options = same()
    const fences: (bigint | undefined)[] = []
    const reasons: unknown[] = []
    let open: () => void = () => {}
    const opening = new Promise<void>(resolve => (open = resolve))
    const first = slow?.execute(async ({ fence, signal }) => {
      fences.push(fence)
      signal.addEventListener('abort', () => reasons.push(signal.reason))
      // It does not listen to its signal, as much work does not.
      await opening
      return 'first'
    }, options)
    const ended = first?.then(String, (error: unknown) => error)
    while (fences.length === 0) await sleep(5)
    proxy.hold()
    while (reasons.length === 0) await sleep(5)
    expect(reasons).toEqual([expect.objectContaining({ code: 'HF_LEASE_LOST', reason: 'expired' })])
    const second = await fast?.execute(({ fence }) => {
      fences.push(fence)
      return 'second'
    }, options)
    proxy.heal()
    open()
    expect(await ended).toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect([second, await fast?.execute(() => 'third', options)]).toEqual(['second', 'second'])
    expect((fences[1] ?? 0n) > (fences[0] ?? 0n)).toBe(true)
  })

  it('an owner that was stopped past its lease wakes up behind its successor', async () => {
    const key = randomUUID()
    const { child, fence } = await ownerProcess(store, key)
    child.kill('SIGSTOP')
    const policy = idempotent({
      backend: opened(store),
      scope: 'kill',
      whenInFlight: 'wait',
      leaseMs: LEASE_MS,
      keepMs: KEEP_MS,
    })
    const next = await policy.execute(context => String(context.fence), { idempotencyKey: key })
    child.kill('SIGCONT')
    const [outcome] = (await once(child.stdout, 'data')) as [Buffer]
    expect(String(outcome)).toBe('HF_STALE_TOKEN')
    expect(BigInt(next) > fence).toBe(true)
    expect(await policy.execute(() => 'no', { idempotencyKey: key })).toBe(next)
  })

  it('a key whose owner was killed is free after its lease, and not before; the next run has a higher fence', async () => {
    const key = randomUUID()
    const { child, fence } = await ownerProcess(store, key)
    const backend = opened(store)
    const refusing = idempotent({ backend, scope: 'kill', leaseMs: LEASE_MS, keepMs: KEEP_MS })
    await sleep(1.5 * LEASE_MS)
    // It is alive, and renews.
    await expect(refusing.execute(() => 'no', { idempotencyKey: key })).rejects.toMatchObject({
      code: 'HF_IN_FLIGHT',
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await expect(refusing.execute(() => 'no', { idempotencyKey: key })).rejects.toMatchObject({
      code: 'HF_IN_FLIGHT',
    })
    const waiting = idempotent({ backend, scope: 'kill', leaseMs: LEASE_MS, keepMs: KEEP_MS, whenInFlight: 'wait' })
    const next = await waiting.execute(context => String(context.fence), { idempotencyKey: key })
    expect(BigInt(next) > fence).toBe(true)
  })

  it('refuses when the store is not there, and the work is not begun', async () => {
    const address = new URL(store.url())
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: 1 } })
    onTestFinished(() => proxy.close())
    address.host = `127.0.0.1:${proxy.port}`
    const policy = idempotent({ backend: opened(store, address.href), scope: 'down' })
    let runs = 0
    await expect(policy.execute(() => (runs += 1), same())).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(runs).toBe(0)
  })
})
