import { brokenHolds, holdEvent, lateLoss, lateness, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { EnsembleSite } from '../sites/ensemble.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The server that the holder is connected to follows, and is cut off from the leader without knowing it: it goes on answering pings and
 * reads until its `syncLimit`, while the leader ends the session and the healthy side grants the lock to another. A heartbeat that passes
 * the quorum is not answered, so the holder is told before; one that is answered by the follower alone believes on.
 */
export const zkFollowerCut: LockScenario<EnsembleSite> = {
  name: 'zk-follower-cut',
  backends: ['ensemble'],
  runs: 2,
  runMsMax: 60_000,
  breaksServer: true,
  cutsLinks: true,
  run,
}

async function run(stage: Stage<EnsembleSite>, mode: Mode): Promise<Findings> {
  const { site } = stage
  const isGuarded = mode === 'guarded'
  const lock = isGuarded ? 'holdfast' : 'naive-session'
  const boundMs = site.leaseMs + 1_500
  await stage.step('an ensemble that is whole', site.heal())
  const follower = await site.follower()
  const leader = await site.leader()
  if (leader === undefined) throw new Error('No server leads.')
  const holder = await stage.actor('the holder', { lock, lockVia: follower, dataVia: leader })
  const next = await stage.actor('the next holder', { lock, lockVia: leader, dataVia: leader })
  const held = await holder.takeAtOnce()
  await stage.step('a first write', holder.write(isGuarded))
  const { grant } = await stage.queueUp(next, { waitMs: boundMs * 2 })
  site.cutOff(follower)
  const cutAtMs = monotonicMs()
  const granted = await stage.within(boundMs + 1_000, 'the next grant', grant)
  const late = lateness('The grant after the cut', granted && granted.acquiredAtMs - cutAtMs, boundMs)
  if (granted === undefined) return { violations: late, numbers: { boundMs } }
  const lost = holder.lostReport() ?? (await holder.report())
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the cut-off holder', holder.write(isGuarded))
  const second = await next.release()
  await stage.step('an ensemble that is whole again', site.heal())
  return {
    violations: [
      ...late,
      ...lateLoss(lost, lost.provenAtMs, site.leaseMs),
      ...brokenHolds([holdEvent(holder.name, lost), holdEvent(next.name, second)]),
      ...staleWrite(held.token, granted.token, outcome),
      ...(held.guarantee === 'lease' || !isGuarded ? [] : [`The guarantee is ${held.guarantee}.`]),
    ],
    numbers: {
      boundMs,
      syncMsMax: site.syncMs,
      grantAfterMsMax: granted.acquiredAtMs - cutAtMs,
      gapMsMin: granted.acquiredAtMs - lost.validUntilMs,
      ...(lost.lostAtMs === undefined ? {} : { lostAfterMsMax: lost.lostAtMs - lost.provenAtMs }),
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
    },
  }
}
