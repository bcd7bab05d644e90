import { reportListenerError } from '@holdfast/core'
import type { Call, CallContext } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import { rejected } from '../errors.ts'
import type { Rule } from '../rule.ts'
import type { Admission, StageOptions } from '../stage.ts'
import type { Quota, QuotaView } from './meter.ts'

/** What decides of calls by a quota: this process, a store, or permits that a store has lent. */
export interface Decider {
  /** See `Gate.enter`. It never waits for permits, only for its store. */
  decide(call: Call, key: string | undefined): Admission
  undo(call: Call, key: string | undefined, ticket: number): void
  view(key: string | undefined, nowMs: number): QuotaView
  describe(): Readonly<Record<string, unknown>>
  close(): void
}

/** A ticket with which nothing has to be given back. */
export const FREE = 0

/** Which quota a call counts for: `true` for its own key, or what a pure function says; undefined is the one that all others share. */
export type PerKey = boolean | ((call: CallContext) => string | undefined)

/** The key that a call counts for. A function that throws is reported, and the call counts with those without a key. */
export function keyOf(perKey: PerKey, call: Call): string | undefined {
  if (typeof perKey === 'boolean') return perKey ? call.key : undefined
  try {
    return perKey(call)
  } catch (error) {
    reportListenerError('resilience.perKey', error)
    return undefined
  }
}

/** An answer that a store still owes, for as long as the call is there: what is granted to one that is gone is undone. */
export function whileWanted(call: Call, answer: Promise<number>, undo: (ticket: number) => void): Promise<number> {
  if (!call.isCancellable) return answer
  return new Promise((resolve, reject) => {
    let isGone = false
    const stopListening = call.onCancel(reason => {
      isGone = true
      reject(reason)
    })
    answer.then(
      ticket => {
        stopListening()
        if (isGone) undo(ticket)
        else resolve(ticket)
      },
      (error: unknown) => {
        stopListening()
        reject(error)
      },
    )
  })
}

/** A refusal of a call that is over its quota. @param part which of its quotas. @param waitMs until there is room for it; Infinity for never. */
export function overQuota(
  rule: Rule<StageOptions>,
  quota: Quota,
  {
    key,
    waitMs,
    policy = 'rateLimit',
    part,
  }: { key: string | undefined; waitMs: number; policy?: string; part?: string },
): RejectedError {
  const name = rule.current.name ?? policy
  return rejected({
    policy,
    rule: part === undefined ? name : `${name}/${part}`,
    ruleVersion: rule.version,
    reason: 'rate-limited',
    retryAfterMs: waitMs === Infinity ? undefined : Math.ceil(waitMs),
    limit: quota.limit,
    periodMs: quota.periodMs,
    key,
  })
}

/** A refusal for want of a store: the service cannot decide, so it is not the caller's fault. */
export function storeUnavailable(
  rule: Rule<StageOptions>,
  { key, retryAfterMs, policy = 'rateLimit' }: { key: string | undefined; retryAfterMs: number; policy?: string },
): RejectedError {
  return rejected({
    policy,
    rule: rule.current.name ?? policy,
    ruleVersion: rule.version,
    reason: 'store-unavailable',
    retryAfterMs,
    key,
  })
}

/** Whether an answer is still to come. */
export function isPromise(answer: Admission): answer is Promise<number> {
  return typeof (answer as { readonly then?: unknown }).then === 'function'
}
