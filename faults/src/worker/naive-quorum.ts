import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { monotonicMs } from '../monotonic.ts'
import type { Contender, Held, Wish } from './contender.ts'
import { NaiveHeld } from './naive-held.ts'

const POLL_MS = 20
const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

interface Vote {
  readonly key: string
  readonly owner: string
  readonly ttlMs: number
}

/**
 * Redlock as it is written down, with the validity looked at: a majority of SET NX PX, which whoever holds renews, and believes in for
 * no longer than the TTL after the last majority. All it lacks is a server that came back empty and votes for nobody for a while. The
 * token is the greatest of the servers' counts.
 */
export class NaiveQuorum implements Contender {
  readonly #clients: readonly Redis[]
  readonly #prefix: string
  readonly #renewals = new Set<ReturnType<typeof setInterval>>()

  constructor(ports: readonly number[], prefix: string) {
    const options = { host: '127.0.0.1', enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 }
    this.#clients = ports.map(port => new Redis({ ...options, port }))
    for (const client of this.#clients) client.on('error', () => {})
    this.#prefix = prefix
  }

  async ready(): Promise<void> {
    while (!(await this.#isMajority(async client => (await client.ping()) === 'PONG'))) await sleep(POLL_MS)
  }

  async acquire({ resource, ttlMs = 1_000, waitMs }: Wish): Promise<Held | undefined> {
    const vote = { key: `${this.#prefix}:naive:{${resource}}`, owner: `${process.pid}-${monotonicMs()}`, ttlMs }
    const endMs = monotonicMs() + waitMs
    for (;;) {
      const sentAtMs = monotonicMs()
      const { key, owner } = vote
      const isOurs = await this.#isMajority(async client => (await client.set(key, owner, 'PX', ttlMs, 'NX')) === 'OK')
      if (isOurs && monotonicMs() < sentAtMs + ttlMs) return await this.#hold(resource, vote, sentAtMs)
      await this.#release(vote)
      if (monotonicMs() >= endMs) return undefined
      await sleep(POLL_MS)
    }
  }

  async close(): Promise<void> {
    for (const renewal of this.#renewals) clearInterval(renewal)
    for (const client of this.#clients) client.disconnect()
  }

  async #hold(resource: string, vote: Vote, provenAtMs: number): Promise<Held> {
    const counts = await this.#answers(client => client.incr(`${vote.key}:token`))
    const token = BigInt(Math.max(...counts))
    const held = new NaiveHeld({ resource, token, ttlMs: vote.ttlMs, provenAtMs, keepsToTtl: true }, async () => {
      this.#stop(renewal)
      await this.#release(vote)
    })
    const renewal = setInterval(() => void this.#renew(vote, held), vote.ttlMs / 3)
    this.#renewals.add(renewal)
    return held
  }

  async #renew({ key, owner, ttlMs }: Vote, held: NaiveHeld): Promise<void> {
    const sentAtMs = monotonicMs()
    const isOurs = await this.#isMajority(async client => (await client.eval(RENEW, 1, key, owner, ttlMs)) === 1)
    if (isOurs) held.prove(sentAtMs)
  }

  async #release({ key, owner }: Vote): Promise<void> {
    await this.#answers(client => client.eval(RELEASE, 1, key, owner))
  }

  async #isMajority(ask: (client: Redis) => Promise<boolean>): Promise<boolean> {
    const votes = (await this.#answers(ask)).filter(isFor => isFor)
    return votes.length > this.#clients.length / 2
  }

  /** Of those that answer. */
  async #answers<T>(ask: (client: Redis) => Promise<T>): Promise<readonly T[]> {
    const answers = await Promise.allSettled(this.#clients.map(client => ask(client)))
    return answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
  }

  #stop(renewal: ReturnType<typeof setInterval>): void {
    clearInterval(renewal)
    this.#renewals.delete(renewal)
  }
}
