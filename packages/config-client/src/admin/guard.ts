import type { Clock } from '@holdfast/core'
import { show } from '@holdfast/core'
import type { AbortConditions } from './admin.ts'

/** What a guard is asked about, and for how long. */
export interface GuardQuestion extends Omit<Parameters<NonNullable<AbortConditions['guard']>>[0], 'signal'> {
  readonly clock: Clock
  readonly limitMs: number
  /** Ends the question: then the answer does not matter. */
  readonly signal: AbortSignal
}

/** Why a guard is against going on; undefined when it is not. One that rejects, or does not answer in time, is against it. */
export async function objectionOf(
  guard: NonNullable<AbortConditions['guard']>,
  { release, step, clock, limitMs, signal }: GuardQuestion,
): Promise<string | undefined> {
  const asking = new AbortController()
  const limit = new Promise<string>(resolve => {
    const timer = clock.setTimer(() => resolve(`did not answer within ${limitMs} ms`), limitMs, { background: false })
    asking.signal.addEventListener('abort', () => timer.cancel(), { once: true })
  })
  try {
    const answer: unknown = await Promise.race([
      guard({ release, step, signal: AbortSignal.any([asking.signal, signal]) }),
      limit.then(late => {
        throw new Error(late)
      }),
    ])
    if (answer === true) return undefined
    if (typeof answer === 'string') return answer
    return answer === false ? 'the guard said no' : `the guard answered ${show(answer)}, neither true nor a reason`
  } catch (error) {
    return `the guard failed: ${error instanceof Error ? error.message : show(error)}`
  } finally {
    asking.abort()
  }
}
