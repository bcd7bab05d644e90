import type { Clock } from '@holdfast/core'
import { reportListenerError } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { SharedRun } from '../coalesce/shared-runs.ts'
import { isInside, keyFrom, SharedRuns } from '../coalesce/shared-runs.ts'
import { checkNumber } from '../checks.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next } from '../stage.ts'
import type { CacheEntry } from './entries.ts'
import { CacheEntries } from './entries.ts'
import type { CacheOptions, CacheRule } from './options.ts'
import { checkedCacheOptions } from './options.ts'

/** Besides what all policies have. */
export interface CacheOwn {
  /** Forgets the value of a key; a call that is under way for it keeps nothing any more. Whether there was a value. */
  invalidate(key: string): boolean
  /** Forgets all values. */
  clear(): void
}

/**
 * Answers calls from what earlier ones returned: while it is fresh, for a while longer while it is renewed in the background, and where
 * the call fails. Calls of one key that miss at the same time share one run, as with `coalesce`.
 *
 * Values are kept as they are: all callers have the same object, which none may change. What can be read once only (a `Response`)
 * cannot be cached. Errors are not kept. A run has no deadline, for others may wait for it: put a `timeout` inside. In `shadow` each call
 * runs, and what the cache would have answered is reported as `wouldHit`.
 *
 * @see RFC 5861 for `staleMs` (stale-while-revalidate) and `staleOnErrorMs` (stale-if-error)
 * @example
 * const users = cache({ ttlMs: 5_000, staleMs: 60_000, staleOnErrorMs: 3_600_000 })
 * const user = await users.execute(({ signal }) => readUser(id, { signal }), { key: id })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function cache(options: LiveOptions<CacheOptions>): Policy & CacheOwn {
  const stage = new CacheStage(openRule<CacheOptions, CacheRule>('cache', options, checkedCacheOptions))
  return policyOf(stage, { invalidate: (key: string) => stage.invalidate(key), clear: () => stage.clear() })
}

class CacheStage implements Layer {
  readonly kind = 'layer'
  readonly policy = 'cache'
  readonly clock: Clock
  readonly rule: Rule<CacheRule>
  readonly #entries = new CacheEntries()
  readonly #runs = new SharedRuns()
  // Runs whose key was invalidated since they began: what they return may be of before.
  readonly #invalidated = new WeakSet<SharedRun>()
  #hits = 0
  #stale = 0
  #missed = 0

  constructor(rule: Rule<CacheRule>) {
    this.rule = rule
    this.clock = rule.current.clock
  }

  async run(call: Call, next: Next): Promise<unknown> {
    if (call.isCancelled) throw call.reason
    const { key: keyOf, mode, ttlMs, staleMs } = this.rule.current
    const key = keyFrom(keyOf, call)
    if (key === undefined) return await next(call)
    const entry = this.#entries.read(key)
    const ageMs = entry === undefined ? Infinity : this.clock.monotonicMs() - entry.storedAtMs
    if (mode === 'shadow') return await this.#runAlone(key, call, next, ageMs < ttlMs + staleMs)
    if (entry !== undefined && ageMs < ttlMs) return this.#hit(key, entry)
    if (entry !== undefined && ageMs < ttlMs + staleMs) return this.#renew({ key, call, next, entry })
    return await this.#miss({ key, call, next, entry })
  }

  invalidate(key: string): boolean {
    const run = this.#runs.find(key)
    if (run !== undefined) this.#disown(run)
    return this.#entries.delete(key)
  }

  clear(): void {
    for (const run of this.#runs.all()) this.#disown(run)
    this.#entries.clear()
  }

  describe(): Readonly<Record<string, unknown>> {
    return {
      keys: this.#entries.count,
      sizeBytes: this.#entries.sizeBytes,
      inFlight: this.#runs.count,
      hits: this.#hits,
      stale: this.#stale,
      missed: this.#missed,
    }
  }

  #hit(key: string, { value }: CacheEntry): unknown {
    this.#hits += 1
    tellTools(this, 'hit', { key })
    return value
  }

  /** The old value at once; nobody waits for the run that renews it, and nobody can end it. */
  #renew(miss: Miss & { readonly entry: CacheEntry }): unknown {
    if (this.#runs.find(miss.key) === undefined) {
      const run = this.#begin(miss)
      run.callers += 1
      run.result.catch((cause: unknown) => tellTools(this, 'renewalFailed', { key: miss.key, cause }))
    }
    return this.#serveStale(miss.key, miss.entry, undefined)
  }

  async #miss(miss: Miss): Promise<unknown> {
    const { key, call, next, entry } = miss
    this.#missed += 1
    tellTools(this, 'missed', { key })
    try {
      const known = this.#runs.find(key)
      if (known !== undefined && isInside(call, known)) return await next(call)
      const value = await this.#runs.join(known ?? this.#begin(miss), call)
      if (!this.rule.current.filter.isFailedResult(value)) return value
      return this.#isUsable(entry) ? this.#serveStale(key, entry, value) : value
    } catch (cause) {
      if (call.isCancelled || !this.rule.current.filter.isFailure(cause) || !this.#isUsable(entry)) throw cause
      return this.#serveStale(key, entry, cause)
    }
  }

  #begin({ key, call, next }: Miss): SharedRun {
    const run: SharedRun = this.#runs.begin(key, call, async shared => {
      const value = await next(shared)
      if (!this.#invalidated.has(run)) this.#keep(key, value)
      return value
    })
    return run
  }

  #keep(key: string, value: unknown): void {
    const rule = this.rule.current
    try {
      if (rule.filter.isFailedResult(value) || !rule.keep(value)) return
      const sizeBytes = rule.sizeOf(value)
      // One size that is no number, and the sum of all is none any more.
      checkNumber('sizeOf', sizeBytes, { min: 0, max: Infinity })
      this.#entries.write(key, { value, storedAtMs: this.clock.monotonicMs(), sizeBytes }, rule)
    } catch (error) {
      // A function of its user's that throws costs him the cache, not the value.
      reportListenerError('resilience.cache', error)
    }
  }

  #isUsable(entry: CacheEntry | undefined): entry is CacheEntry {
    if (entry === undefined) return false
    const { ttlMs, staleOnErrorMs } = this.rule.current
    return this.clock.monotonicMs() - entry.storedAtMs < ttlMs + staleOnErrorMs
  }

  #serveStale(key: string, { value }: CacheEntry, cause: unknown): unknown {
    this.#stale += 1
    tellTools(this, 'stale', { key, cause })
    return value
  }

  async #runAlone(key: string, call: Call, next: Next, wouldHit: boolean): Promise<unknown> {
    if (wouldHit) tellTools(this, 'wouldHit', { key })
    const value = await next(call)
    this.#keep(key, value)
    return value
  }

  #disown(run: SharedRun): void {
    this.#invalidated.add(run)
    this.#runs.forget(run)
  }
}

interface Miss {
  readonly key: string
  readonly call: Call
  readonly next: Next
  /** What was kept, too old to be the answer as it is. */
  readonly entry: CacheEntry | undefined
}
