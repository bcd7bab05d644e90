import type { BeginOutcome, Moment, RunRef } from '@holdfast/core'
import { UnknownOutcomeError, assertNever, momentOf } from '@holdfast/core'
import { InFlightError, KeyReusedError, codeOf } from '../errors.ts'
import type { KeyedCall } from './keyed-call.ts'
import { orCancelled, pause } from './keyed-call.ts'
import type { LocalRuns } from './local-runs.ts'

/** What a call may do with its key. */
export type Begun =
  /** Run it. `sent` is the moment before it was asked for. */
  | { readonly kind: 'run'; readonly run: RunRef; readonly sent: Moment }
  /** Have the result of another. */
  | { readonly kind: 'replay'; readonly bytes: Uint8Array }
  /** Run it unprotected: the store cannot be reached. */
  | { readonly kind: 'unguarded' }

const POLL_MS_FIRST = 25
const POLL_MS_MAX = 1_000
/** What a caller is told at most to wait: a run ends sooner than its lease, most often. */
const RETRY_AFTER_MS_MAX = 1_000

/**
 * Begins the run of a key, or finds out what became of it; waits for the result of another where the policy says so.
 *
 * @throws {InFlightError} `HF_IN_FLIGHT`
 * @throws {KeyReusedError} `HF_KEY_REUSED`
 * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when its run was lost, and is not to be run again.
 * @throws {UnavailableError} `HF_UNAVAILABLE`
 */
export async function beginRun(keyed: KeyedCall, local: LocalRuns): Promise<Begun> {
  const { call, key, storeKey, fingerprint, settings } = keyed
  const owner = settings.store.newOwner()
  const waits = settings.whenInFlight === 'wait'
  const waitsUntilMs = call.clock.monotonicMs() + settings.waitMs
  for (let poll = 0; ; poll += 1) {
    const bytes = waits ? await local.join(keyed, waitsUntilMs) : undefined
    if (bytes !== undefined) return { kind: 'replay', bytes }
    const sent = momentOf(call.clock)
    const outcome = await askedOnce(keyed, owner)
    if (outcome === undefined) return { kind: 'unguarded' }
    if (outcome.kind === 'run') return { kind: 'run', run: { key: storeKey, owner, fence: outcome.fence }, sent }
    if (outcome.kind !== 'in-flight') return ended(outcome, key)
    const leftMs = waitsUntilMs - call.clock.monotonicMs()
    if (!waits || leftMs <= 0) throw new InFlightError(key, Math.min(outcome.leaseLeftMs, RETRY_AFTER_MS_MAX))
    // Whoever runs it in this process tells of its end.
    if (!local.has(storeKey, fingerprint)) await pause(call, Math.min(leftMs, pollMs(poll, settings.random.next())))
  }
}

function ended(outcome: Exclude<BeginOutcome, { readonly kind: 'run' | 'in-flight' }>, key: string): Begun {
  switch (outcome.kind) {
    case 'done':
      return { kind: 'replay', bytes: outcome.result }
    case 'conflict':
      throw new KeyReusedError(key)
    case 'lost':
      throw new UnknownOutcomeError(
        `The call with the idempotency key "${key}" was begun, and whoever was at it is gone: it may or may not have been done.`,
      )
    default:
      return assertNever(outcome)
  }
}

// A caller that gives up leaves no run behind, if its begin is still answered; else its lease ends it.
async function askedOnce(keyed: KeyedCall, owner: string): Promise<BeginOutcome | undefined> {
  const { call, storeKey, fingerprint, settings } = keyed
  const { store, leaseMs, onLost, keepMs } = settings
  const asked = store.begin({ key: storeKey, fingerprint, owner, leaseMs, onLost, keepMs })
  try {
    return await orCancelled(asked, call)
  } catch (error) {
    asked.then(
      async outcome => {
        if (outcome.kind === 'run') await store.release({ key: storeKey, owner, fence: outcome.fence }).catch(() => {})
      },
      () => {},
    )
    if (codeOf(error) === 'HF_UNAVAILABLE' && !call.isCancelled && settings.whenUnavailable === 'run') return undefined
    throw error
  }
}

// Doubling, with the upper half by chance, so that those who wait for one key do not ask all at once.
function pollMs(poll: number, chance: number): number {
  const ceiling = Math.min(POLL_MS_MAX, POLL_MS_FIRST * 2 ** Math.min(poll, 10))
  return Math.ceil(ceiling / 2 + (chance * ceiling) / 2)
}
