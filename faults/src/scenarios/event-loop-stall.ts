import { brokenHolds, holdEvent, staleWrite } from '../history.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Actor } from '../stage/actor.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The holder's event loop is blocked past its lease. In all that time the lease itself must say that it is over, though no timer
 * could: the control asks the signal alone, and writes without a guard.
 */
export const eventLoopStall: LockScenario = {
  name: 'event-loop-stall',
  backends: ['memory', 'redis', 'zookeeper', 'postgres'],
  runs: 2,
  runMsMax: 20_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const staller = await stage.actor('the stalled holder')
  const { next, client } = await contenderBeside(stage, staller)
  // In memory the next one is granted during the stall, by the first look at the lease, and must still hold after it.
  const stallRatio = stage.site.kind === 'memory' ? 1.5 : 2.5
  const held = await staller.takeAtOnce({ isGuarded })
  const nextGrant = next.take({ lease: 'next', client, isGuarded })
  const stall = await stage.step('the end of the stall', staller.stall(stage.site.leaseMs * stallRatio))
  const granted = await stage.step('the next grant', nextGrant)
  if (granted === undefined) return { violations: ['Nobody was granted the lock after the stall.'], numbers: {} }
  await stage.step('the write of the next holder', next.write(isGuarded, 'next'))
  const outcome = await stage.step('the write of the stalled holder', staller.write(isGuarded))
  const passes = mode === 'control' ? stall.signalPasses : stall.passes
  const holds = [holdEvent(staller.name, await staller.report()), holdEvent(next.name, await next.report('next'))]
  return {
    violations: [
      ...(passes === 0 ? [] : [`After its deadline the lease was taken for held ${passes} times.`]),
      ...staleWrite(held.token, granted.token, outcome),
      ...brokenHolds(holds),
    ],
    numbers: { checks: stall.checks, passes, staleAccepted: outcome.kind === 'accepted' ? 1 : 0 },
  }
}

// In memory both are clients in one process, and the store stalls with them.
async function contenderBeside(stage: Stage, staller: Actor): Promise<{ next: Actor; client: string }> {
  if (stage.site.kind !== 'memory') return { next: await stage.actor('the next holder'), client: 'main' }
  await staller.open({ kind: 'memory' }, 'holdfast', { client: 'next' })
  return { next: staller, client: 'next' }
}
