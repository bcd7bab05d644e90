import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { monotonicMs } from '../monotonic.ts'
import type { Contender, Held, Wish } from './contender.ts'
import { NaiveHeld } from './naive-held.ts'
import { postgresUrl } from './postgres-ledger.ts'

const POLL_MS = 20
const TAKE = `INSERT INTO naive (resource, owner, ends_at, token) VALUES ($1, $2, now() + $3::interval, 1)
  ON CONFLICT (resource) DO UPDATE SET owner = $2, ends_at = now() + $3::interval, token = naive.token + 1
    WHERE naive.ends_at < now() RETURNING token`
const RENEW = 'UPDATE naive SET ends_at = now() + $3::interval WHERE resource = $1 AND owner = $2'
const FREE = `UPDATE naive SET ends_at = '-infinity' WHERE resource = $1 AND owner = $2`
const FOR_EVER = '100 years'

/**
 * What many write by hand: a row with a time, a count for a token, and a timer that moves the time. It believes until a renewal is
 * refused. One that is to last for ever has no timer.
 */
export class NaivePostgres implements Contender {
  readonly #pool: pg.Pool
  readonly #isForEver: boolean
  readonly #renewals = new Set<ReturnType<typeof setInterval>>()

  constructor(port: number, options: { readonly isForEver: boolean }) {
    this.#pool = new pg.Pool({ connectionString: postgresUrl(port), max: 2 })
    this.#pool.on('error', () => {})
    this.#isForEver = options.isForEver
  }

  async acquire({ resource, ttlMs = 1_000, waitMs }: Wish): Promise<Held | undefined> {
    const owner = `${process.pid}-${monotonicMs()}`
    const span = this.#isForEver ? FOR_EVER : `${ttlMs} ms`
    const endMs = monotonicMs() + waitMs
    for (;;) {
      const provenAtMs = monotonicMs()
      const { rows } = await this.#pool.query<{ token: string }>(TAKE, [resource, owner, span])
      if (rows[0] !== undefined) return this.#hold({ resource, ttlMs, provenAtMs, token: BigInt(rows[0].token) }, owner)
      if (monotonicMs() >= endMs) return undefined
      await sleep(POLL_MS)
    }
  }

  async ready(): Promise<void> {
    await this.#pool.query('SELECT 1')
  }

  async close(): Promise<void> {
    for (const renewal of this.#renewals) clearInterval(renewal)
    await this.#pool.end()
  }

  #hold(facts: { resource: string; ttlMs: number; provenAtMs: number; token: bigint }, owner: string): Held {
    const held = new NaiveHeld(facts, async () => {
      this.#stop(renewal)
      await this.#pool.query(FREE, [facts.resource, owner])
    })
    const renewal = this.#isForEver ? undefined : setInterval(() => void this.#renew(held, owner), facts.ttlMs / 3)
    if (renewal !== undefined) this.#renewals.add(renewal)
    held.onLost(() => this.#stop(renewal))
    return held
  }

  async #renew(held: NaiveHeld, owner: string): Promise<void> {
    const sentAtMs = monotonicMs()
    try {
      const { rowCount } = await this.#pool.query(RENEW, [held.resource, owner, `${held.ttlMs} ms`])
      if (rowCount === 1) held.prove(sentAtMs)
      else held.lose()
    } catch {
      held.lose()
    }
  }

  #stop(renewal: ReturnType<typeof setInterval> | undefined): void {
    if (renewal === undefined) return
    clearInterval(renewal)
    this.#renewals.delete(renewal)
  }
}

/** The server's own lock, which lives as long as its connection; its holder never hears that this is gone. */
export class AdvisoryPostgres implements Contender {
  readonly #pool: pg.Pool

  constructor(port: number) {
    this.#pool = new pg.Pool({ connectionString: postgresUrl(port), max: 4 })
    this.#pool.on('error', () => {})
  }

  async acquire({ resource, waitMs }: Wish): Promise<Held | undefined> {
    const client = await this.#pool.connect()
    client.on('error', () => {})
    try {
      await client.query(`SELECT set_config('lock_timeout', $1, false)`, [`${Math.max(1, waitMs)}ms`])
      await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [resource])
    } catch {
      // It took too long, or the connection is gone: either way it is not ours.
      client.release(true)
      return undefined
    }
    const provenAtMs = monotonicMs()
    const { rows } = await client.query<{ token: string }>(`SELECT nextval('naive_tokens') AS token`)
    const facts = { resource, token: BigInt(rows[0]?.token ?? 0), ttlMs: Infinity, provenAtMs }
    return new NaiveHeld(facts, async () => client.release(true))
  }

  async ready(): Promise<void> {
    await this.#pool.query('SELECT 1')
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}
