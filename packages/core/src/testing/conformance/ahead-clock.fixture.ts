import type { Clock } from '../../clock.ts'
import { systemClock } from '../../clock.ts'

/** The machine's clocks, set so much ahead; or behind. */
export function clockAheadBy(ms: number): Clock {
  return {
    monotonicMs: () => systemClock.monotonicMs() + ms,
    wallMs: () => systemClock.wallMs() + ms,
    setTimer: (run, delayMs, options) => systemClock.setTimer(run, delayMs, options),
  }
}
