import { checkHistory, describeViolation } from '@holdfast/core/testing'
import type { HoldEvent } from '@holdfast/core/testing'
import type { HoldReport, WriteOutcome } from './worker/protocol.ts'

/** A hold as the checker of histories wants it. */
export function holdEvent(holder: string, { token, acquiredAtMs, validUntilMs }: HoldReport): HoldEvent {
  return { kind: 'hold', resource: 'stock', holder, token, acquiredAtMs, validUntilMs }
}

/** What is wrong with holds: overlaps, and tokens that do not grow. */
export function brokenHolds(holds: readonly HoldEvent[]): readonly string[] {
  return checkHistory(holds).map(describeViolation)
}

/** A sentence when a write was accepted though a newer token had been fenced in. */
export function staleWrite(token: bigint, newest: bigint, outcome: WriteOutcome): readonly string[] {
  const writes = [
    { kind: 'write', resource: 'stock', token: newest, outcome: 'accepted' },
    { kind: 'write', resource: 'stock', token, outcome: outcome.kind === 'accepted' ? 'accepted' : 'refused' },
  ] as const
  return checkHistory(writes).map(describeViolation)
}

/** A sentence when something came too late, or not at all. */
export function lateness(what: string, tookMs: number | undefined, boundMs: number): readonly string[] {
  if (tookMs === undefined) return [`${what} did not come within ${Math.round(boundMs)} ms.`]
  return tookMs <= boundMs ? [] : [`${what} took ${Math.round(tookMs)} ms, and ${Math.round(boundMs)} ms are promised.`]
}

/** A sentence when a lease's signal came later than its TTL after the last acknowledged proof was sent. */
export function lateLoss(report: HoldReport | undefined, provenAtMs: number, ttlMs: number): readonly string[] {
  const what = 'The signal of the loss, counted from when the last acknowledged renewal was sent,'
  return lateness(what, report?.lostAtMs === undefined ? undefined : report.lostAtMs - provenAtMs, ttlMs)
}

/** A sentence when those who waited, given in the order in which they came, were not served in it. */
export function outOfOrder(grants: readonly (HoldReport | undefined)[]): readonly string[] {
  const times = grants.map(grant => grant?.acquiredAtMs ?? Infinity)
  const isInOrder = times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0))
  return isInOrder ? [] : ['The waiters were not served in the order in which they came.']
}
