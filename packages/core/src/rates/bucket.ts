import { InvariantError } from '../errors.ts'
import type { RateDecision, RateQuota, RateTake } from '../ports/rates.ts'

/**
 * How near to a whole permit counts as one. Levels are doubles: what was taken in thirds adds up to a little less, or more, and
 * with the largest burst a level is exact to 1.2e-7.
 */
export const PERMIT_ERROR = 1e-6

/**
 * What is kept of a key: how many permits were out at a time. They come back evenly.
 *
 * This is GCRA as the "continuous-state leaky bucket" of ITU-T I.371, with X = `level` and LCT = `atMs`; its other form keeps one
 * theoretical arrival time, and as µs since 1970 that is a double with steps of 0.25 µs: at 10.1 µs a permit it is off by 2.5 %.
 */
export interface Bucket {
  readonly level: number
  readonly atMs: number
}

/** What was decided of one take: `level` is what is out then, with what was granted. */
export interface Verdict {
  /** `undefined`: refused. */
  readonly granted: number | undefined
  readonly level: number
}

/**
 * What of `bucket` is out now. It is more than the burst where another quota with a larger one took it: that stays out, or whoever has
 * the smaller one would give the others their permits anew. A clock that went back brings nothing back.
 */
export function levelAt(bucket: Bucket | undefined, quota: RateQuota, nowMs: number): number {
  if (bucket === undefined) return 0
  const back = (Math.max(0, nowMs - bucket.atMs) * quota.limit) / quota.periodMs
  return Math.max(0, bucket.level - back)
}

/** What a take is granted while so much is out. */
export function verdictOn({ quota, cost, least = cost }: RateTake, level: number): Verdict {
  const room = Math.floor(quota.burst - level + PERMIT_ERROR)
  const granted = Math.min(cost, room)
  return granted < least ? { granted: undefined, level } : { granted, level: level + granted }
}

/** What is told of it. Times are whole milliseconds, rounded up. */
export function decisionOf({ quota, cost, least = cost }: RateTake, { granted, level }: Verdict): RateDecision {
  const remaining = Math.max(0, Math.floor(quota.burst - level + PERMIT_ERROR))
  const resetMs = comesBackInMs(quota, level)
  if (granted !== undefined) return { kind: 'granted', granted, remaining, resetMs }
  return {
    kind: 'refused',
    remaining,
    retryAfterMs: Math.max(1, comesBackInMs(quota, level + least - quota.burst)),
    resetMs,
  }
}

/** For how long so many permits are on their way back. */
export function comesBackInMs({ limit, periodMs }: RateQuota, permits: number): number {
  // What rounding left over is no further millisecond; a wait that is too short by more would be refused again.
  return permits <= PERMIT_ERROR ? 0 : Math.ceil(((permits * periodMs) / limit) * (1 - 1e-15))
}

/** Reads what a server decided: what is granted, or `-`; a space; how many are out then. */
export function readVerdict(answer: unknown): Verdict {
  const [granted, level] = typeof answer === 'string' ? answer.split(' ') : []
  if (granted === undefined || level === undefined) {
    throw new InvariantError(`The store decided ${JSON.stringify(answer)} of a take.`)
  }
  return { granted: granted === '-' ? undefined : Number(granted), level: Number(level) }
}
