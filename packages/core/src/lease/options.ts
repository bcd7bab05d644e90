import { InvalidArgumentError } from '../errors.ts'
import type { Guard } from '../fencing/guard.ts'
import { checkGuard } from '../fencing/guard.ts'
import { show } from '../names.ts'
import { TTL_MS, WAIT_MS, checkBoolean, checkDurationMs, checkKeys, checkSignal } from '../options.ts'
import type { LeaseMeta } from '../ports/leases.ts'

/** How a lease is acquired. Every option may be left out. */
export interface AcquireOptions {
  /**
   * How long the lease lasts without renewal: an integer of milliseconds from 100 to 86,400,000 (a day). Its holder's own
   * deadline is a little sooner (1 % + 2 ms) than the store's.
   *
   * @default 30000; on ZooKeeper the session's timeout, of a quorum at most its `maxTtlMs` (with `lockDelayMs`)
   */
  readonly ttlMs?: number
  /**
   * How long to wait for others to release, in milliseconds; 0 = not at all. The way to the store counts: what is over before that has
   * said that others hold it is rejected with `HF_UNAVAILABLE`. The first use connects, and on PostgreSQL makes the tables; `await
   * backend.ready()` at start does it once.
   *
   * @default until `signal` aborts
   */
  readonly waitMs?: number
  /** Whether the lease is renewed by itself, at a third of its TTL. @default true */
  readonly renew?: boolean
  /** After so many milliseconds renewal stops and the signal aborts with the reason `hold-limit`. @default none */
  readonly holdMsMax?: number
  /**
   * For so long others are kept out after an end that was no release: its holder died, stalled or was cut off, or its backend was
   * closed. For resources that cannot check a token: what the holder had sent by then has arrived or failed. 0 to 3,600,000 ms, within
   * 1 % of it. Not on ZooKeeper, whose sessions have such a delay of their own.
   *
   * @default 0
   */
  readonly lockDelayMs?: number
  /**
   * A release sooner than this after the grant keeps the lock for the rest, also when the process ends at once: for short jobs
   * that several nodes start at the same time by their own clocks. 0 to 86,400,000 ms. Not on ZooKeeper.
   *
   * @default 0
   */
  readonly lockAtLeastForMs?: number
  /** Ends the waiting; what was asked for is taken back. Once the lease is held it has no effect. */
  readonly signal?: AbortSignal
  /** Shown by `inspect`: at most 16 entries and 1,024 characters of JSON. @default host and process id */
  readonly meta?: LeaseMeta
  /** The guard of the protected resource: it is raised to the new token before the lease is handed out. @default none */
  readonly guard?: Guard
}

/** Every name of `AcquireOptions`. */
export const ACQUIRE_OPTION_NAMES: readonly (keyof AcquireOptions)[] = Object.freeze([
  'ttlMs',
  'waitMs',
  'renew',
  'holdMsMax',
  'lockDelayMs',
  'lockAtLeastForMs',
  'signal',
  'meta',
  'guard',
])

const KNOWN: ReadonlySet<string> = new Set(ACQUIRE_OPTION_NAMES)
const LOCK_DELAY_MS = { min: 0, max: 3_600_000 }
const META_CHARACTERS_MAX = 1_024
const META_ENTRIES_MAX = 16

/**
 * Refuses what cannot work, before anything is sent.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkAcquireOptions(options: AcquireOptions, known: ReadonlySet<string> = KNOWN): void {
  checkKeys('acquire', options, known)
  if (options.ttlMs !== undefined) checkDurationMs('ttlMs', options.ttlMs, TTL_MS)
  if (options.waitMs !== undefined) checkDurationMs('waitMs', options.waitMs, WAIT_MS)
  if (options.holdMsMax !== undefined) checkDurationMs('holdMsMax', options.holdMsMax, { min: 1, max: WAIT_MS.max })
  if (options.lockDelayMs !== undefined) checkDurationMs('lockDelayMs', options.lockDelayMs, LOCK_DELAY_MS)
  if (options.lockAtLeastForMs !== undefined) {
    checkDurationMs('lockAtLeastForMs', options.lockAtLeastForMs, { min: 0, max: TTL_MS.max })
  }
  checkBoolean('renew', options.renew)
  checkSignal(options.signal)
  if (options.guard !== undefined) checkGuard('guard', options.guard)
}

/**
 * The JSON text of what `inspect` will show.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function encodeMeta(meta: LeaseMeta | undefined): string {
  if (meta === undefined) return defaultMeta()
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) {
    throw new InvalidArgumentError('meta', `Expected \`meta\` to be an object of strings, got ${show(meta)}.`)
  }
  const entries = Object.entries(meta)
  if (entries.length > META_ENTRIES_MAX) {
    throw new InvalidArgumentError(
      'meta',
      `Expected \`meta\` to have at most ${META_ENTRIES_MAX} entries, got ${entries.length}.`,
    )
  }
  for (const [key, value] of entries) {
    if (typeof value === 'string') continue
    throw new InvalidArgumentError(`meta.${key}`, `Expected \`meta.${key}\` to be a string, got ${show(value)}.`)
  }
  const text = JSON.stringify(meta)
  if (text.length <= META_CHARACTERS_MAX) return text
  throw new InvalidArgumentError(
    'meta',
    `Expected \`meta\` to be at most ${META_CHARACTERS_MAX} characters of JSON, got ${text.length}.`,
  )
}

/** Reads what `encodeMeta` wrote; what another library wrote there is shown as it stands. */
export function decodeMeta(text: string): LeaseMeta {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.freeze({ ...value }) as LeaseMeta
  } catch {
    // Curator writes an address there, kazoo an identifier.
  }
  return text === '' ? {} : Object.freeze({ data: text })
}

let defaultMetaText: string | undefined

function defaultMeta(): string {
  defaultMetaText ??= JSON.stringify({
    host: globalThis.process?.getBuiltinModule?.('node:os').hostname() ?? 'unknown',
    pid: String(globalThis.process?.pid ?? 0),
  })
  return defaultMetaText
}
