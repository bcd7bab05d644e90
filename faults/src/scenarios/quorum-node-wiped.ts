import { brokenHolds, holdEvent, lateLoss, staleWrite } from '../history.ts'
import { mergedNumbers } from '../numbers.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { QuorumSite } from '../sites/quorum.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The lock is held by two of three servers; the third is out of the holder's reach. One of the two is killed and comes back with nothing,
 * or with a snapshot from before the grant: together with the third it would be a majority for somebody else. It votes for nobody until
 * every lease that it may have forgotten has ended. The naive quorum lets the other in.
 */
export const quorumNodeWiped: LockScenario<QuorumSite> = {
  name: 'quorum-node-wiped',
  backends: ['quorum'],
  runs: 1,
  runMsMax: 60_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage<QuorumSite>, mode: Mode): Promise<Findings> {
  const wiped = await lose(stage, mode, { keepData: false })
  const restored = await lose(stage, mode, { keepData: true })
  return {
    violations: [...wiped.violations, ...restored.violations],
    numbers: mergedNumbers([wiped.numbers, restored.numbers]),
  }
}

async function lose(
  stage: Stage<QuorumSite>,
  mode: Mode,
  { keepData }: { readonly keepData: boolean },
): Promise<Findings> {
  const { site } = stage
  const lock = mode === 'guarded' ? 'holdfast' : 'naive-expiring'
  const isGuarded = mode === 'guarded'
  const [, forgetful] = site.servers
  const toThird = await stage.proxy()
  toThird.refuse()
  const holder = await stage.actor('the holder', { lock, lockVia: toThird })
  const next = await stage.actor('the next holder', { lock })
  if (keepData) await site.snapshot(forgetful)
  const held = await stage.step('the first grant', holder.takeAtOnce({ waitMs: site.quarantineMs * 2 }))
  await stage.step('a first write', holder.write(isGuarded))
  await stage.step('the restart', forgetful.restart({ keepData }))
  const granted = await stage.step('the next grant', next.takeAtOnce({ waitMs: site.quarantineMs * 3 }))
  // As it believes right then; later its belief ends.
  const believed = await holder.report()
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the old holder', holder.write(isGuarded))
  await stage.becomes('the end of the old hold', () => holder.lostReport() !== undefined, isGuarded ? site.leaseMs : 0)
  const lost = holder.lostReport() ?? believed
  const second = await next.release()
  // The naive one renews what is left of it for ever.
  await holder.release()
  return {
    violations: [
      ...brokenHolds([holdEvent(holder.name, lost), holdEvent(next.name, second)]),
      ...staleWrite(held.token, granted.token, outcome),
      ...lateLoss(lost, lost.provenAtMs, site.leaseMs),
      ...(held.guarantee === 'lease' || !isGuarded ? [] : [`The guarantee is ${held.guarantee}.`]),
    ],
    numbers: {
      boundMs: site.leaseMs,
      gapMsMin: granted.acquiredAtMs - lost.validUntilMs,
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
      ...(lost.lostAtMs === undefined ? {} : { lostAfterMsMax: lost.lostAtMs - lost.provenAtMs }),
    },
  }
}
