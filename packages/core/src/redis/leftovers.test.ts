import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { RedisServer } from '@holdfast/scripts/servers'
import { freePort, startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import { redisBackend } from './index.ts'

const TIMEOUT_MS = 2_000
/** Of a program, which loads everything, on a machine that has other things to do. A lease lasts longer. */
const PROGRAM_TIMEOUT_MS = 5_000
const LEASE_MS = 600_000
const END_MS_MAX = 100_000

let server: RedisServer
let admin: Redis
let client: Redis
let backend: Backend
let clock: CountingClock
let name: string

/** The machine's clock, counting the timers that are set. */
class CountingClock implements Clock {
  readonly timers = new Set<Timer>()

  monotonicMs(): number {
    return systemClock.monotonicMs()
  }

  wallMs(): number {
    return systemClock.wallMs()
  }

  setTimer(run: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer {
    const fired = (): void => {
      this.timers.delete(timer)
      run()
    }
    const inner = systemClock.setTimer(fired, delayMs, options)
    const timer: Timer = {
      cancel: () => {
        this.timers.delete(timer)
        inner.cancel()
      },
    }
    this.timers.add(timer)
    return timer
  }
}

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

beforeEach(async () => {
  name = randomUUID()
  await admin.flushall()
  client = new Redis(server.url)
  await client.ping()
  clock = new CountingClock()
  backend = redisBackend({ client, clock, commandTimeoutMs: TIMEOUT_MS, maxClockSkewMs: 0 })
})

afterEach(async () => {
  await backend.close()
  client.disconnect()
})

const listeners = (): number => client.eventNames().reduce((sum, event) => sum + client.listenerCount(event), 0)

/** What the server keeps, but the last token of a resource, which goes by itself. */
async function keysLeft(): Promise<readonly string[]> {
  const keys = await admin.keys('*')
  const states = await Promise.all(keys.map(async key => [key, await admin.get(key).catch(() => 'a queue')] as const))
  return states.filter(([, state]) => !/^\d{20}0{21}$/.test(state ?? '')).map(([key]) => key)
}

describe('After an acquire that was aborted', () => {
  it('while it waited nothing of it is left: no place in the queue, no key, no listener, no timer', async () => {
    const other = redisBackend({ url: server.url, maxClockSkewMs: 0 })
    const held = await acquireLease(other, name, { ttlMs: 600_000 })
    await backend.ready()
    const before = listeners()
    const abort = new AbortController()
    const waiting = acquireLease(backend, name, { signal: abort.signal }).catch((error: unknown) => error)
    await expect.poll(async () => (await other.leases.inspect(name)).waiters.length).toBe(1)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await waiting).toBe(reason)
    await expect.poll(async () => (await other.leases.inspect(name)).waiters).toEqual([])
    expect(listeners()).toBe(before)
    await held.release()
    expect(await keysLeft()).toEqual([])
    // The one timer that all commands share ends with the time of a command.
    await expect.poll(() => clock.timers.size).toBe(0)
    await other.close()
  })

  it('on its way nothing of it is left, however often', async () => {
    await backend.ready()
    const before = listeners()
    for (let round = 0; round < 50; round += 1) {
      const abort = new AbortController()
      const acquired = acquireLease(backend, name, { signal: abort.signal }).then(
        lease => lease.release(),
        () => 'aborted',
      )
      for (let turn = 0; turn < round % 7; turn += 1) await new Promise(resolve => void setImmediate(resolve))
      abort.abort(new Error('enough'))
      await acquired
    }
    await expect.poll(keysLeft).toEqual([])
    expect(listeners()).toBe(before)
    await expect.poll(() => clock.timers.size).toBe(0)
  })

  it('by its own time limit nothing of it is left', async () => {
    const other = redisBackend({ url: server.url, maxClockSkewMs: 0 })
    const held = await acquireLease(other, name, { ttlMs: 600_000 })
    expect(await tryAcquireLease(backend, name, { waitMs: 1_000 })).toBeUndefined()
    await expect.poll(async () => (await other.leases.inspect(name)).waiters).toEqual([])
    await held.release()
    expect(await keysLeft()).toEqual([])
    await other.close()
  })
})

describe('After close', () => {
  it('nothing of the backend is left: no timer, no listener, no waiting', async () => {
    const before = listeners()
    const other = redisBackend({ client, clock, maxClockSkewMs: 0 })
    await acquireLease(other, name, {})
    const waiting = acquireLease(other, name, {}).catch((error: unknown) => error)
    await expect.poll(async () => (await other.leases.inspect(name)).waiters.length).toBe(1)
    await other.close()
    expect(await waiting).toMatchObject({ code: 'HF_CLOSED' })
    expect([listeners(), clock.timers.size]).toEqual([before, 0])
    expect(await keysLeft()).toEqual([])
  })
})

const run = promisify(execFile)

/** Runs a program that uses the backend at a URL, and says how long it took to end by itself. */
async function program(url: string, body: string): Promise<{ readonly said: string; readonly ms: number }> {
  const code = `
    import { acquireLease, tryAcquireLease } from '@holdfast/core'
    import { redisBackend } from '@holdfast/core/redis'
    const backend = redisBackend({ url: '${url}', commandTimeoutMs: ${PROGRAM_TIMEOUT_MS}, maxClockSkewMs: 0 })
    const options = { ttlMs: ${LEASE_MS} }
    const failure = work => work.then(() => 'done', error => error.code ?? error.message)
    ${body}
  `
  const startMs = systemClock.monotonicMs()
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd, timeout: 120_000 })
  return { said: stdout.trim(), ms: systemClock.monotonicMs() - startMs }
}

describe('A program', () => {
  it('ends by itself after close, though it held, waited and gave up', async () => {
    const { said, ms } = await program(
      server.url,
      `
      const lease = await acquireLease(backend, '${name}', options)
      const abort = new AbortController()
      const waiting = failure(acquireLease(backend, '${name}', { ...options, signal: abort.signal }))
      setTimeout(() => abort.abort(new Error('enough')), 50)
      console.log(await waiting)
      const last = failure(acquireLease(backend, '${name}', options))
      setTimeout(() => void backend.close(), 50)
      console.log(await last)
      `,
    )
    expect(said).toBe('enough\nHF_CLOSED')
    expect(ms).toBeLessThan(END_MS_MAX)
  })

  it('ends by itself after close when the server is down', async () => {
    const { said, ms } = await program(
      `redis://127.0.0.1:${await freePort()}`,
      `
      console.log(await failure(acquireLease(backend, '${name}', options)))
      console.log(await failure(tryAcquireLease(backend, '${name}', { ...options, signal: AbortSignal.timeout(50) })))
      await backend.close()
      `,
    )
    expect(said).toBe('HF_UNAVAILABLE\n23')
    // Seen here: what was to be taken back held the process for as long as a lease lasts.
    expect(ms).toBeLessThan(END_MS_MAX)
  })

  it('waits to the end for what it awaits, though the server is down', async () => {
    const { said } = await program(
      `redis://127.0.0.1:${await freePort()}`,
      `
      console.log(await failure(acquireLease(backend, '${name}', options)))
      await backend.close()
      console.log('closed')
      `,
    )
    expect(said).toBe('HF_UNAVAILABLE\nclosed')
  })

  it('ends by itself after close when the server stopped answering', async () => {
    const own = await startRedis()
    const { said, ms } = await program(
      own.url,
      `
      const lease = await acquireLease(backend, '${name}', options)
      process.kill(${String(own.pid)}, 'SIGSTOP')
      console.log(await failure(tryAcquireLease(backend, 'another', options)))
      await backend.close()
      console.log(await lease.release())
      `,
    )
    await own.kill('SIGCONT')
    await own.stop()
    expect(said).toBe('HF_UNAVAILABLE\nlost')
    expect(ms).toBeLessThan(END_MS_MAX)
  })

  it('is told that its own client is closed when it quits that, and ends without closing the backend', async () => {
    const { said, ms } = await program(
      server.url,
      `
      const { Redis } = await import('ioredis')
      const client = new Redis('${server.url}')
      const own = redisBackend({ client, maxClockSkewMs: 0 })
      await (await acquireLease(own, '${name}', options)).release()
      await client.quit()
      console.log(await failure(acquireLease(own, '${name}', options)))
      `,
    )
    expect(said).toBe('HF_CLOSED')
    expect(ms).toBeLessThan(END_MS_MAX)
  })
})
