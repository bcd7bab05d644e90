import type { EventSource, LeaseEvents } from '@holdfast/core'
import type { WaitCycleEvent } from './wait-cycles.ts'

/** What happens to the locks of a process. */
export interface LockEvents extends LeaseEvents {
  /** A `using` waits, over others, for a lock that is held around it. Only with `warnOnWaitCycles`. */
  waitCycle: WaitCycleEvent
}

/** Both sources as one. Without `cycles` nobody ever hears of one. */
export function eventsOf(
  leases: EventSource<LeaseEvents>,
  cycles: EventSource<{ waitCycle: WaitCycleEvent }> = { on: () => ({ close: noop, [Symbol.dispose]: noop }) },
): EventSource<LockEvents> {
  return {
    on: (name, listener) => {
      const source = (name === 'waitCycle' ? cycles : leases) as EventSource<LockEvents>
      return source.on(name, listener)
    },
  }
}

function noop(): void {}
