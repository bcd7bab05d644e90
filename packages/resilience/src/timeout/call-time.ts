import type { Call } from '../call.ts'
import { rejected, timedOut } from '../errors.ts'
import type { Next } from '../stage.ts'
import { wheelOf } from '../timer-wheel.ts'
import type { Expiry } from './race.ts'
import { Race } from './race.ts'

const NAME = 'call'

const CALL_TIME: Expiry = {
  expire: (call, timeoutMs) => call.cancel(timedOut(Math.ceil(timeoutMs), NAME)),
}

/** Runs a call whose caller said how long it may take: it rejects at its deadline, whatever policies there are. */
export function runInTime(call: Call, run: Next): Promise<unknown> {
  const nowMs = call.clock.monotonicMs()
  if (call.deadlineMs <= nowMs) {
    return Promise.reject(rejected({ policy: NAME, rule: NAME, ruleVersion: 1, reason: 'deadline' }))
  }
  const inner = call.derive()
  inner.nowMs = nowMs
  return new Race(inner, wheelOf(call.clock), CALL_TIME).run(run)
}
