import type { BackendKind, Scenario } from './scenario.ts'
import { abortInFlight } from './scenarios/abort-in-flight.ts'
import { blackHole } from './scenarios/black-hole.ts'
import { closeLeavesNothing } from './scenarios/close-leaves-nothing.ts'
import { configFirstPublish } from './scenarios/config-first-publish.ts'
import { configPublishes } from './scenarios/config-publishes.ts'
import { configStoreLoses } from './scenarios/config-store-loses.ts'
import { eventLoopStall } from './scenarios/event-loop-stall.ts'
import { handoverDelayed } from './scenarios/handover-delayed.ts'
import { postgresRestart } from './scenarios/postgres-restart.ts'
import { quorumNodeWiped } from './scenarios/quorum-node-wiped.ts'
import { redisRestartEmpty } from './scenarios/redis-restart-empty.ts'
import { sentinelFailover } from './scenarios/sentinel-failover.ts'
import { sigkillHolder } from './scenarios/sigkill-holder.ts'
import { sigkillHolderWithWaiters } from './scenarios/sigkill-holder-with-waiters.ts'
import { sigstopHeadWaiter } from './scenarios/sigstop-head-waiter.ts'
import { sigstopHolder } from './scenarios/sigstop-holder.ts'
import { sigstopInTransaction } from './scenarios/sigstop-in-transaction.ts'
import { tokenGrowth } from './scenarios/token-growth.ts'
import { zkCutMidReply } from './scenarios/zk-cut-mid-reply.ts'
import { zkFollowerCut } from './scenarios/zk-follower-cut.ts'
import { zkLeaderKill } from './scenarios/zk-leader-kill.ts'
import { zkSessionExpiry } from './scenarios/zk-session-expiry.ts'

export const BACKENDS: readonly BackendKind[] = [
  'memory',
  'redis',
  'sentinel',
  'quorum',
  'zookeeper',
  'ensemble',
  'postgres',
]

/** All scenarios, by what they are about. */
export const SUITES: Readonly<Record<string, readonly Scenario[]>> = {
  lock: [
    sigkillHolder,
    sigkillHolderWithWaiters,
    sigstopHolder,
    sigstopHeadWaiter,
    handoverDelayed,
    blackHole,
    eventLoopStall,
    redisRestartEmpty,
    sentinelFailover,
    quorumNodeWiped,
    postgresRestart,
    sigstopInTransaction,
    zkSessionExpiry,
    zkCutMidReply,
    zkLeaderKill,
    zkFollowerCut,
    abortInFlight,
    tokenGrowth,
    closeLeavesNothing,
  ],
  config: [configPublishes, configFirstPublish, configStoreLoses],
}
