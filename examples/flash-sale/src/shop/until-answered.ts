import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError, UnknownOutcomeError } from '@holdfast/core'

/** No answer came: the connection broke, or the session was over. Nobody knows whether it was done. */
export class NoAnswer extends Error {}

const REPEAT_MS = 50
const REPEATS_MAX = 200

/** Asks again until there is an answer. What is asked must do no harm the second time. */
export async function untilAnswered<T>(ask: (isRepeated: boolean) => Promise<T>): Promise<T> {
  for (let repeats = 0; ; repeats++) {
    try {
      return await ask(repeats > 0)
    } catch (error) {
      const isPassing = [NoAnswer, UnavailableError, UnknownOutcomeError].some(kind => error instanceof kind)
      if (!isPassing || repeats === REPEATS_MAX) throw error
    }
    await sleep(REPEAT_MS)
  }
}
