import type { Clock, Lease } from '@holdfast/core'
import {
  LeaseLostError,
  StaleTokenError,
  UnavailableError,
  WaitTimeoutError,
  onAbort,
  onLeaseEnd,
  systemRandom,
} from '@holdfast/core'
import type { LeaderWork } from './election-options.ts'
import { pause } from './pause.ts'

/** What leading again and again needs of a candidate. */
export interface Leading {
  readonly clock: Clock
  /** With `resume` only the first time: after that the leadership of before is gone. */
  readonly campaign: (resume: boolean) => Promise<Lease>
  readonly signal: AbortSignal | undefined
}

type Term<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** The work ended because the leadership did. */
  | { readonly kind: 'lost' }

const PAUSE_MS = 100
const PAUSE_MS_MAX = 10_000

/** Campaigns, leads, and begins anew when the leadership was lost: as Curator's LeaderSelector does. */
export async function leadAgain<T>(leading: Leading, work: LeaderWork<T>, requeue: boolean): Promise<T> {
  const { clock, signal } = leading
  let failures = 0
  for (let isFirst = true; ; isFirst = false) {
    signal?.throwIfAborted()
    const lease = await campaigned(leading, isFirst)
    if (lease !== undefined) {
      failures = 0
      const term = await lead(lease, work, signal)
      if (term.kind === 'done' && !requeue) return term.value
      if (term.kind === 'done') {
        // What answers without a turn of the event loop, and work that does nothing, must not keep the process from all else.
        await pause(clock, 0, signal)
        continue
      }
    }
    failures += 1
    // Full jitter: candidates that lost it together do not come back together.
    await pause(clock, systemRandom.next() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** failures), signal)
  }
}

/** Undefined when the next try may do better. */
async function campaigned({ campaign }: Leading, isFirst: boolean): Promise<Lease | undefined> {
  try {
    return await campaign(isFirst)
  } catch (error) {
    if (error instanceof UnavailableError || error instanceof WaitTimeoutError) return undefined
    // Lost before it was handed out, or overtaken before a guard was raised.
    if (error instanceof LeaseLostError || error instanceof StaleTokenError) return undefined
    throw error
  }
}

async function lead<T>(lease: Lease, work: LeaderWork<T>, signal: AbortSignal | undefined): Promise<Term<T>> {
  const abort = new AbortController()
  const stops = [lease.signal, signal].map(each => onAbort(each, reason => abort.abort(reason)))
  const isLost = (): boolean => lease.signal.aborted || lease.remainingMs() === 0
  // Its own signal says nothing of a lease that was given back under the work, by `resign` or `close`.
  let isOver = false
  onLeaseEnd(lease, error => {
    if (!isOver) abort.abort(error)
  })
  try {
    lease.assertHeld()
    const value = await work(lease, abort.signal)
    return isLost() ? { kind: 'lost' } : { kind: 'done', value }
  } catch (error) {
    if (isLost() && isOf(lease, error)) return { kind: 'lost' }
    throw error
  } finally {
    isOver = true
    for (const stop of stops) stop()
    await lease.release()
  }
}

/** Whether an error says no more than that the leadership is lost. */
function isOf(lease: Lease, error: unknown): boolean {
  if (error === lease.signal.reason || error instanceof LeaseLostError || error instanceof StaleTokenError) return true
  return error instanceof Error && error.name === 'AbortError'
}
