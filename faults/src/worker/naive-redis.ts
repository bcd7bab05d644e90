import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { monotonicMs } from '../monotonic.ts'
import type { Contender, Held, Wish } from './contender.ts'
import { NaiveHeld } from './naive-held.ts'

const POLL_MS = 20
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/**
 * What many write by hand: SET NX PX, a counter for a token, a timer that renews. It believes in its lock from when it hears of
 * it until a renewal is refused, so a silent link or a late answer leave it in its belief.
 */
export class NaiveExpiringRedis implements Contender {
  readonly #client: Redis
  readonly #prefix: string
  readonly #renewals = new Set<ReturnType<typeof setInterval>>()

  constructor(port: number, prefix: string) {
    this.#client = connect(port)
    this.#prefix = prefix
  }

  async acquire({ resource, ttlMs = 1_000, waitMs }: Wish): Promise<Held | undefined> {
    const key = `${this.#prefix}:naive:{${resource}}`
    const owner = `${process.pid}-${monotonicMs()}`
    const endMs = monotonicMs() + waitMs
    for (;;) {
      const sentAtMs = monotonicMs()
      if ((await this.#client.set(key, owner, 'PX', ttlMs, 'NX')) === 'OK')
        return await this.#hold({ key, owner, resource, ttlMs, sentAtMs })
      if (monotonicMs() >= endMs) return undefined
      await sleep(POLL_MS)
    }
  }

  async ready(): Promise<void> {
    await this.#client.ping()
  }

  async close(): Promise<void> {
    for (const renewal of this.#renewals) clearInterval(renewal)
    this.#client.disconnect()
  }

  async #hold(facts: { key: string; owner: string; resource: string; ttlMs: number; sentAtMs: number }): Promise<Held> {
    const { key, owner, ttlMs, resource, sentAtMs } = facts
    const token = BigInt(await this.#client.incr(`${key}:token`))
    const held = new NaiveHeld({ resource, token, ttlMs, provenAtMs: sentAtMs }, async () => {
      this.#stop(renewal)
      await this.#client.eval(RELEASE, 1, key, owner)
    })
    const renewal = setInterval(() => void this.#renew(key, held), ttlMs / 3)
    this.#renewals.add(renewal)
    held.onLost(() => this.#stop(renewal))
    return held
  }

  async #renew(key: string, held: NaiveHeld): Promise<void> {
    const sentAtMs = monotonicMs()
    try {
      if ((await this.#client.pexpire(key, held.ttlMs)) === 0) held.lose()
      else held.prove(sentAtMs)
    } catch {
      held.lose()
    }
  }

  #stop(renewal: ReturnType<typeof setInterval>): void {
    clearInterval(renewal)
    this.#renewals.delete(renewal)
  }
}

/** A token in a list: fair, quick, and gone for ever with the process that took it. */
export class NaiveForeverRedis implements Contender {
  readonly #client: Redis
  readonly #prefix: string

  constructor(port: number, prefix: string) {
    this.#client = connect(port)
    this.#prefix = prefix
  }

  async acquire({ resource, waitMs }: Wish): Promise<Held | undefined> {
    const key = `${this.#prefix}:naive:{${resource}}`
    if ((await this.#client.setnx(`${key}:made`, '1')) === 1) await this.#client.rpush(key, 'turn')
    if ((await this.#client.blpop(key, waitMs / 1_000)) === null) return undefined
    const token = BigInt(await this.#client.incr(`${key}:token`))
    const facts = { resource, token, ttlMs: Infinity, provenAtMs: monotonicMs() }
    return new NaiveHeld(facts, async () => void (await this.#client.rpush(key, 'turn')))
  }

  async ready(): Promise<void> {
    await this.#client.ping()
  }

  async close(): Promise<void> {
    this.#client.disconnect()
  }
}

function connect(port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, maxRetriesPerRequest: null })
  client.on('error', () => {})
  return client
}
