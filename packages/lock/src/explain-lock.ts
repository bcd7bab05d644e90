import type { LeaseMeta } from '@holdfast/core'
import { InvalidArgumentError, show } from '@holdfast/core'
import type { LockInfo } from './lockable.ts'

/** How many of those who wait are told one by one. */
const SHOWN_MAX = 10
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]+/gu

/**
 * What `inspect` answered, as lines for people: who holds the lock, since when, and who waits. For a log or a terminal; the wording may
 * change.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what `inspect` did not answer
 */
export function explainLock(info: LockInfo): string {
  checkInfo(info)
  const { resource, holders, waiters } = info
  const lines = holders.length === 0 ? [`${show(resource)} is free.`] : [`${show(resource)} is held:`]
  for (const { mode, slot, meta, token, heldMs, remainingMs } of holders) {
    const how = [mode === 'exclusive' ? undefined : mode, slot === undefined ? undefined : `slot ${slot}`]
    const facts = [
      ...how,
      heldMs === undefined ? undefined : `for ${secondsOf(heldMs)}`,
      remainingMs === undefined ? undefined : `${secondsOf(remainingMs)} left if it is not renewed`,
      `token ${token.toString()}`,
    ]
    lines.push(`  by ${whoIs(meta)} (${facts.filter(Boolean).join(', ')})`)
  }
  if (waiters.length > 0) lines.push(`${waiters.length} ${waiters.length === 1 ? 'waits' : 'wait'}:`)
  for (const [index, { mode, meta }] of waiters.slice(0, SHOWN_MAX).entries()) {
    lines.push(`  ${index + 1}. ${whoIs(meta)}${mode === 'exclusive' ? '' : ` (${mode})`}`)
  }
  if (waiters.length > SHOWN_MAX) lines.push(`  and ${waiters.length - SHOWN_MAX} more`)
  return lines.join('\n')
}

function checkInfo(info: unknown): void {
  const given = info as Partial<LockInfo> | null | undefined
  if (Array.isArray(given?.holders) && Array.isArray(given.waiters)) return
  throw new InvalidArgumentError(
    'info',
    `Expected explainLock to be given what \`inspect\` answered, got ${show(info)}.`,
  )
}

function whoIs(meta: LeaseMeta): string {
  // Others wrote it: a line of theirs must not pass for one of ours.
  const facts = Object.entries(meta).map(([key, value]) => `${key} ${value}`.replace(CONTROL, ' '))
  return facts.length === 0 ? 'somebody who says nothing of itself' : facts.join(', ')
}

function secondsOf(spanMs: number): string {
  return `${(Math.max(0, spanMs) / 1_000).toFixed(1)} s`
}
