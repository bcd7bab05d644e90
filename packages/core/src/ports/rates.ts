/**
 * A quota that many share: `limit` for each `periodMs`, evenly, with bursts up to `burst`.
 *
 * Over any time t no more than `burst + limit * t / periodMs` is granted.
 */
export interface RateQuota {
  /** 1 to 1,000,000,000. */
  readonly limit: number
  /** In milliseconds, 1 to 86,400,000 (a day). */
  readonly periodMs: number
  /** What may be taken at once after a rest, 1 to 1,000,000,000. */
  readonly burst: number
}

/** What to take of one quota. */
export interface RateTake {
  /**
   * A name, 1 to 200 bytes. Another quota under the same key goes on from the permits that are out: where they are more than its
   * burst, they count as the burst. So who shares a key should agree on its quota, but for the moment in which it changes.
   */
  readonly key: string
  readonly quota: RateQuota
  /** What is wanted, 0 to `burst`. 0 only asks. */
  readonly cost: number
  /**
   * What is enough, 1 to `cost`: where less than `cost` is left, what is left is granted if it is this much. For leases of
   * many permits.
   *
   * @default cost
   */
  readonly least?: number
}

/** What became of a take. */
export type RateDecision =
  | {
      readonly kind: 'granted'
      /** What was taken: `least` to `cost`. */
      readonly granted: number
      /** What could be taken now, whole permits. */
      readonly remaining: number
      /** Until the whole burst is there again, if nothing is taken meanwhile. */
      readonly resetMs: number
    }
  | {
      readonly kind: 'refused'
      readonly remaining: number
      /** Until `least` can be taken, if nothing else is taken meanwhile: whole milliseconds, rounded up. */
      readonly retryAfterMs: number
      readonly resetMs: number
    }

/**
 * Takes of quotas that many processes share. Promises:
 *
 * - Q1 One `take` is one atomic step: many that race are granted together no more than the quota.
 * - Q2 It goes by the store's clock: clocks of clients have no part in it. If that goes back, or another server with another clock
 *   takes over, a key is closed for no longer than a whole burst takes to come back.
 * - Q3 What is refused changes nothing.
 * - Q4 `takeAll` is all or nothing: of several quotas (user, tenant, all together) none is taken when one refuses. Redis Cluster: the
 *   keys must share a hash tag.
 * - Q5 A quota that nobody uses leaves nothing in the store, at the latest a period and a second after its burst was whole again.
 *   PostgreSQL has no timers: there others who take sweep it away.
 * - Q6 Each call is one round trip, is never sent again behind its caller's back, and ends by `timeoutMs`. Only a server that says that it
 *   does not know a script, and so has run nothing, is sent it in a second one. What waits for a connection until then is not sent at all.
 *
 * All of it may be forgotten with the store's data: then quotas are whole. Redis keeps it as its persistence says, PostgreSQL until it
 * crashes (an unlogged table), memory as long as the process.
 *
 * @see GCRA as the continuous-state leaky bucket: ITU-T I.371; brandur.org/rate-limiting
 */
export interface RateStore {
  /**
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` before anything is sent.
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer in time, or the connection broke: what was asked for may
   *   have been taken, once.
   * @throws {RefusedError} `HF_REFUSED` when the store said no: nothing was taken.
   * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend has no rates (ZooKeeper).
   */
  take(take: RateTake, options?: RateCallOptions): Promise<RateDecision>
  /**
   * One decision for each, in their order; where any is refused nothing was taken, and the granted ones say what would have been.
   * 1 to `RATE_TAKES_MAX` takes, each key once.
   */
  takeAll(takes: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]>
  /** Gives back what was taken and not used, 0 to 1,000,000,000, never more than makes the burst whole. */
  giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void>
}

/** How a call of a `RateStore` ends. */
export interface RateCallOptions {
  /** In milliseconds, 1 to 60,000. That it is over makes no link be taken for dead. @default the backend's `commandTimeoutMs` */
  readonly timeoutMs?: number
}

/** The most keys that one `takeAll` may have. */
export const RATE_TAKES_MAX = 16
