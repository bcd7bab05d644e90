import type { Clock, LeaseLostError, RunRef } from '@holdfast/core'
import { InvalidArgumentError, reportListenerError } from '@holdfast/core'
import { Call } from '../call.ts'
import { codeOf, isRejection } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next } from '../stage.ts'
import type { Begun } from './begin-run.ts'
import { beginRun } from './begin-run.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { KeyedCall } from './keyed-call.ts'
import { LocalRuns } from './local-runs.ts'
import type { IdempotentOptions, IdempotentSettings } from './options.ts'
import { checkedSettings } from './options.ts'
import { RunEndings } from './run-ending.ts'
import { RunLease } from './run-lease.ts'
import { checkIdempotencyKey, storeKeyOf } from './store-key.ts'
import { notKept, reasonOf, replayOf, storedError, storedValue } from './stored-result.ts'
import type { StoredResult } from './stored-result.ts'

/**
 * Runs the work of a key (`idempotencyKey`) once, however often and wherever it is called with it: of many at once one runs, and who comes
 * later has its result, for `keepMs`. The key stands for one request (`fingerprint`): with another it is refused.
 *
 * It is at most one at a time, and replay. Exactly once it is only where what the work writes to refuses an older `fence`, or where the
 * result is written in the work's own transaction: a process that stalls for longer than its lease, and wakes up, is followed by another,
 * and goes on until it looks. Its `signal` aborts then (`HF_LEASE_LOST`), its result is not kept, and its caller is told so
 * (`HF_STALE_TOKEN`).
 *
 * The key is used here, and not by policies further in. Put it outermost, so that one key is one run, retries and all.
 *
 * @example
 * const once = idempotent({ backend, scope: 'charge' })
 * const receipt = await once.execute(({ fence }) => charge(order, fence), { idempotencyKey: key, fingerprint: order })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function idempotent(options: LiveOptions<IdempotentOptions>): Policy {
  return policyOf(
    new IdempotentStage(openRule<IdempotentOptions, IdempotentSettings>('idempotent', options, checkedSettings)),
    {},
  )
}

class IdempotentStage implements Layer {
  readonly kind = 'layer'
  readonly policy = 'idempotent'
  readonly clock: Clock
  readonly rule: Rule<IdempotentSettings>
  readonly #local = new LocalRuns()
  readonly #endings = new RunEndings((event, facts) => tellTools(this, event, facts))
  readonly #counts = { ran: 0, replayed: 0, unguarded: 0, leasesLost: 0 }

  constructor(rule: Rule<IdempotentSettings>) {
    this.rule = rule
    this.clock = rule.current.clock
  }

  async run(call: Call, next: Next): Promise<unknown> {
    if (call.isCancelled) throw call.reason
    const settings = this.rule.current
    const { idempotencyKey: key, fingerprint } = call
    if (key === undefined) {
      if (settings.required === 'ifGiven') return await next(call)
      throw new InvalidArgumentError('idempotencyKey', 'Expected the call to have an `idempotencyKey`, got none.')
    }
    checkIdempotencyKey(key)
    const storeKey = storeKeyOf(settings.scope, key)
    const keyed = { call, key, storeKey, fingerprint: fingerprintOf(fingerprint), settings }
    const begun = await this.#begin(keyed)
    switch (begun.kind) {
      case 'replay':
        this.#counts.replayed += 1
        tellTools(this, 'replayed', { key })
        return replayOf(begun.bytes, settings.codec, key)
      case 'unguarded':
        this.#counts.unguarded += 1
        tellTools(this, 'unguarded', { key })
        return await this.#runUnguarded(call, next)
      case 'run':
        this.#counts.ran += 1
        return await this.#run(keyed, begun, next)
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    return { inFlight: this.#local.count, owing: this.#endings.owing, ...this.#counts }
  }

  close(): void {
    this.#endings.close()
  }

  async #begin(keyed: KeyedCall): Promise<Begun> {
    try {
      return await beginRun(keyed, this.#local)
    } catch (cause) {
      tellTools(this, 'notBegun', { key: keyed.key, code: codeOf(cause), cause })
      throw cause
    }
  }

  async #run(keyed: KeyedCall, { run, sent }: Extract<Begun, { kind: 'run' }>, next: Next): Promise<unknown> {
    const { call, key, storeKey, fingerprint, settings } = keyed
    let isBegun = false
    const inner = withoutKey(call, context => {
      isBegun = true
      return call.work(context)
    })
    inner.fence = run.fence
    const lost = (reason: LeaseLostError): void => {
      this.#counts.leasesLost += 1
      tellTools(this, 'leaseLost', { key, fence: run.fence, reason: reason.reason })
      inner.cancel(reason)
    }
    const lease = new RunLease({ clock: this.clock, store: settings.store, leaseMs: settings.leaseMs, lost }, run, sent)
    const tellOthers = this.#local.begin(storeKey, fingerprint)
    try {
      const result = await settled(inner, next, settings)
      const isKept = result.stored !== undefined && (isBegun || !result.stored.failed)
      if (isKept) {
        await this.#keep(keyed, run, result.stored, lease)
        tellOthers(result.stored.bytes)
      } else await this.#release(keyed, run, lease)
      return result.end()
    } finally {
      tellOthers(undefined)
      inner.end()
    }
  }

  async #runUnguarded(call: Call, next: Next): Promise<unknown> {
    const inner = withoutKey(call, call.work)
    try {
      return await next(inner)
    } finally {
      inner.end()
    }
  }

  async #keep(keyed: KeyedCall, run: RunRef, stored: StoredResult, lease: RunLease): Promise<void> {
    await this.#endings.keep(keyed, run, stored, () => lease.stop())
    if (stored.notKept === undefined) return
    const { cause, isTooLarge } = stored.notKept
    tellTools(this, 'notKept', { key: keyed.key, fence: run.fence, cause })
    // What is too large depends on the data, and the caller has it: those who come later are told.
    if (!isTooLarge) throw notKept(keyed.key, reasonOf(cause), cause)
  }

  async #release({ call, ...keyed }: KeyedCall, run: RunRef, lease: RunLease): Promise<void> {
    lease.stop()
    const released = this.#endings.release({ call, ...keyed }, run)
    // Who has given up need not wait for the store; all others may call again at once.
    if (!call.isCancelled) await released
  }
}

/** How the work ended: what to store of it, and its value or its error for the caller. */
interface Settled {
  readonly stored: StoredResult | undefined
  readonly end: () => unknown
}

async function settled(call: Call, next: Next, { codec, keepFailure }: IdempotentSettings): Promise<Settled> {
  try {
    const value = await next(call)
    return { stored: storedValue(value, codec), end: () => value }
  } catch (error) {
    const end = (): never => {
      throw error
    }
    return { stored: isResult(error, keepFailure) ? storedError(error) : undefined, end }
  }
}

function isResult(error: unknown, keepFailure: (error: unknown) => boolean): boolean {
  if (isRejection(error)) return false
  try {
    return keepFailure(error) === true
  } catch (thrown) {
    reportListenerError('resilience.idempotent', thrown)
    return false
  }
}

// The key is used up: what is called from inside, under the same signal, is another operation.
function withoutKey(call: Call, work: Call['work']): Call {
  const inner = new Call(work, { clock: call.clock, parent: call })
  inner.idempotencyKey = undefined
  inner.fingerprint = undefined
  return inner
}
