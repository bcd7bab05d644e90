import { orAborted } from './abort.ts'
import type { Backend, ReadyOptions } from './backend.ts'
import type { Clock } from './clock.ts'
import { UnavailableError } from './errors.ts'
import { withinWait } from './lease/wait-limit.ts'
import { WAIT_MS, checkDurationMs, checkKeys, checkSignal } from './options.ts'

const KNOWN: ReadonlySet<string> = new Set(['timeoutMs', 'signal'])
const TIMEOUT_MS_DEFAULT = 5_000

/**
 * `Backend.ready` of a store whose commands have a deadline of their own: asks until it is answered. `late` is the error for a time
 * that was not enough; it is told the cause of the last failure.
 */
export async function untilAnswered(
  clock: Clock,
  options: ReadyOptions,
  ask: () => Promise<unknown>,
  late: (timeoutMs: number, cause: unknown) => UnavailableError,
): Promise<void> {
  checkKeys('ready', options, KNOWN)
  const { timeoutMs = TIMEOUT_MS_DEFAULT, signal } = options
  checkDurationMs('timeoutMs', timeoutMs, WAIT_MS)
  checkSignal(signal)
  let cause: unknown
  const isAnswered = await withinWait(clock, { waitMs: timeoutMs, signal }, async within => {
    for (;;) {
      try {
        await orAborted(ask(), within)
        return true
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error
        cause = error.cause
      }
    }
  })
  if (isAnswered === undefined) throw late(timeoutMs, cause)
}

/**
 * What a caller is told whose wait ended before the store had said anything to `what` (a resource, say), with what is known of why:
 * `spell` is how long that was, in words.
 */
export function unansweredWait({ kind, health }: Backend, what: string, spell: string): UnavailableError {
  const { current } = health
  const cause = current.kind === 'suspended' ? current.cause : undefined
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message.replace(/\.$/, '')}` : ''
  return new UnavailableError(`The ${kind} backend did not answer for "${what}" within ${spell}${why}.`, { cause })
}
