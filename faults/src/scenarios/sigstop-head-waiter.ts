import { setTimeout as sleep } from 'node:timers/promises'
import { brokenHolds, holdEvent, lateness } from '../history.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The first in the queue is stopped when its turn comes: the one behind it is granted within the claim time + 1 s. When it goes
 * on it must not take the message that waited for it for a lease, and gets its turn later.
 */
export const sigstopHeadWaiter: LockScenario = {
  name: 'sigstop-head-waiter',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 2,
  runMsMax: 25_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const boundMs = stage.site.claimMs + 1_000
  const naive = stage.site.kind === 'postgres' ? 'naive-session' : 'naive-forever'
  const lock = mode === 'control' ? naive : 'holdfast'
  const holder = await stage.actor('the first holder', { lock })
  const sleeper = await stage.actor('the stopped waiter', { lock })
  const behind = await stage.actor('the waiter behind', { lock })
  await stage.step('the first grant', holder.take({ waitMs: 5_000 }))
  const { grant: sleepersTurn } = await stage.queueUp(sleeper)
  const { grant: nextTurn } = await stage.queueUp(behind)
  await sleeper.stop()
  const first = await stage.step('the release', holder.release())
  const granted = await stage.within(boundMs + 500, 'the grant past the stopped waiter', nextTurn)
  const afterMs = granted && granted.acquiredAtMs - first.validUntilMs
  const late = lateness('The grant past a stopped waiter', afterMs, boundMs)
  await sleeper.resume()
  if (granted === undefined) return { violations: late, numbers: { boundMs } }
  // Long enough to act on the message that waited for it, should it do so.
  await sleep(300)
  const second = await stage.step('the release of the waiter behind', behind.release())
  await stage.step('the turn of the waiter that woke', sleepersTurn)
  const third = await sleeper.release()
  const holds = [holdEvent(holder.name, first), holdEvent(behind.name, second), holdEvent(sleeper.name, third)]
  return { violations: [...late, ...brokenHolds(holds)], numbers: { boundMs, grantAfterMsMax: afterMs ?? 0 } }
}
