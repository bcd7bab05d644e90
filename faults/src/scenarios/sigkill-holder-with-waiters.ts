import { setTimeout as sleep } from 'node:timers/promises'
import { brokenHolds, holdEvent, lateness, outOfOrder } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import type { HoldReport } from '../worker/protocol.ts'

const WAITERS = 3
const HOLD_MS = 50

/** The holder is killed while others wait: the first of them is granted within the lease + 1 s, the rest in order. */
export const sigkillHolderWithWaiters: LockScenario = {
  name: 'sigkill-holder-with-waiters',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 2,
  runMsMax: 25_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const boundMs = stage.site.leaseMs + 1_000
  const lock = mode === 'control' ? 'naive-forever' : 'holdfast'
  const [holder, ...waiters] = await Promise.all(
    ['the killed holder', 'waiter 1', 'waiter 2', 'waiter 3']
      .slice(0, WAITERS + 1)
      .map(name => stage.actor(name, { lock })),
  )
  if (holder === undefined) throw new Error('There is no holder.')
  await stage.step('the first grant', holder.take({ waitMs: 5_000 }))
  const grants: Promise<HoldReport | undefined>[] = []
  for (const waiter of waiters) grants.push((await stage.queueUp(waiter, { holdMs: HOLD_MS })).grant)
  const held = await holder.report()
  await holder.kill()
  const killedAtMs = monotonicMs()

  const first = await stage.within(boundMs + 500, 'the grant to the first waiter', Promise.race(grants))
  const firstAfterMs = first && first.acquiredAtMs - killedAtMs
  const late = lateness('The first grant after a kill', firstAfterMs, boundMs)
  if (first === undefined) return { violations: late, numbers: { boundMs } }
  const all = await stage.step('the grants to all waiters', Promise.all(grants))
  await sleep(HOLD_MS * 2)
  const reports = await Promise.all(waiters.map(async waiter => holdEvent(waiter.name, await waiter.report())))
  const ended = { ...held, validUntilMs: Math.min(held.validUntilMs, killedAtMs) }
  return {
    violations: [...late, ...outOfOrder(all), ...brokenHolds([holdEvent(holder.name, ended), ...reports])],
    numbers: {
      boundMs,
      firstGrantAfterMsMax: firstAfterMs ?? 0,
      lastGrantAfterMsMax: Math.max(...all.map(grant => (grant?.acquiredAtMs ?? Infinity) - killedAtMs)),
    },
  }
}
