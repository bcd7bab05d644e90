import type { BackendKind, Scenario } from './scenario.ts'
import { eventLoopStall } from './scenarios/event-loop-stall.ts'
import { sigkillHolder } from './scenarios/sigkill-holder.ts'
import { sigkillHolderWithWaiters } from './scenarios/sigkill-holder-with-waiters.ts'
import { sigstopHeadWaiter } from './scenarios/sigstop-head-waiter.ts'
import { sigstopHolder } from './scenarios/sigstop-holder.ts'

export const BACKENDS: readonly BackendKind[] = ['memory', 'redis', 'zookeeper']

/** All scenarios, by what they are about. */
export const SUITES: Readonly<Record<string, readonly Scenario[]>> = {
  lock: [sigkillHolder, sigkillHolderWithWaiters, sigstopHolder, sigstopHeadWaiter, eventLoopStall],
}
