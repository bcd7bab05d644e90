import { redisBackend } from '@holdfast/core/redis'
import { rateLimit } from '@holdfast/resilience'
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { RAW_GCRA } from './raw-gcra.ts'

/** A quota of permits, `limit` a second. */
export interface Quota {
  readonly limit: number
  readonly burst: number
}

/** One instance of a service that shares a quota: asks for one permit. */
export interface Limited extends AsyncDisposable {
  take(): Promise<boolean>
}

/** How an instance is made. */
export interface LimitSettings {
  readonly url: string
  readonly key: string
  readonly quota: Quota
  /** By how much the clock of this instance is wrong. */
  readonly clockAheadMs: number
}

type Maker = (settings: LimitSettings) => Promise<Limited>

/** Everybody who shares a quota through Redis, by name. */
export const LIMIT_CONTESTANTS: Readonly<Record<string, Maker>> = {
  ours: settings => ourLimit(settings, {}),
  leased: settings => ourLimit(settings, { lease: {} }),
  raw: rawLimit,
  'rate-limiter-flexible': flexibleLimit,
}

async function ourLimit(settings: LimitSettings, options: { readonly lease?: object }): Promise<Limited> {
  const { url, key, quota, clockAheadMs } = settings
  const clock = {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now() + clockAheadMs,
    setTimer: (run: () => void, delayMs: number) => {
      const timer = setTimeout(run, delayMs)
      return { cancel: () => clearTimeout(timer) }
    },
  }
  const backend = redisBackend({ url, clock })
  await backend.ready()
  // A second, so that a busy machine is not taken for a store that is away.
  const policy = rateLimit({
    name: key,
    ...quota,
    backend,
    storeTimeoutMs: 1_000,
    whenUnavailable: 'closed',
    ...options,
  })
  const done = async (): Promise<boolean> => true
  return {
    take: async () => {
      try {
        return await policy.execute(done)
      } catch {
        return false
      }
    },
    [Symbol.asyncDispose]: async () => {
      policy.close()
      await backend.close()
    },
  }
}

async function rawLimit({ url, key, quota }: LimitSettings): Promise<Limited> {
  const client = new Redis(url)
  const sha = (await client.script('LOAD', RAW_GCRA)) as string
  const words = [String(1_000_000 / quota.limit), String(quota.burst)] as const
  return {
    take: async () => (await client.evalsha(sha, 1, `raw:${key}`, ...words)) === 1,
    [Symbol.asyncDispose]: async () => client.disconnect(),
  }
}

async function flexibleLimit({ url, key, quota }: LimitSettings): Promise<Limited> {
  const client = new Redis(url, { enableOfflineQueue: true })
  await client.ping()
  const limiter = new RateLimiterRedis({ storeClient: client, keyPrefix: 'rlf', points: quota.limit, duration: 1 })
  return {
    take: async () => {
      try {
        await limiter.consume(key)
        return true
      } catch (refusal) {
        if (refusal instanceof Error) throw refusal
        return false
      }
    },
    [Symbol.asyncDispose]: async () => client.disconnect(),
  }
}
