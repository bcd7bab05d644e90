import { brokenHolds, holdEvent, lateLoss, lateness, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The server cannot be reached for longer than the session lasts: the holder is told in time, another gets the lock, the holder's
 * writes are refused, and when the server is back he contends anew in a session of its own.
 */
export const zkSessionExpiry: LockScenario = {
  name: 'zk-session-expiry',
  backends: ['zookeeper'],
  runs: 2,
  runMsMax: 30_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const { leaseMs } = stage.site
  const boundMs = leaseMs + 1_000
  const network = await stage.proxy()
  const holder = await stage.actor('the cut-off holder', { lockVia: network })
  const next = await stage.actor('the next holder')
  const held = await holder.takeAtOnce()
  await stage.step('a first write', holder.write(isGuarded))
  network.refuse()
  network.dropConnections()
  const cutAtMs = monotonicMs()
  const granted = await stage.within(boundMs + 1_000, 'the next grant', next.take({ waitMs: boundMs + 500, isGuarded }))
  const late = lateness('The grant after a cut', granted && granted.acquiredAtMs - cutAtMs, boundMs)
  if (granted === undefined) return { violations: late, numbers: { boundMs } }
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the cut-off holder', holder.write(isGuarded))
  const lost = holder.lostReport() ?? (await holder.report())
  network.heal()
  const second = await next.release()
  const again = await stage.step(
    'a new grant to the first holder',
    holder.takeAtOnce({ waitMs: 5_000, lease: 'again' }),
  )
  const third = await holder.release('again')
  const holds = [
    holdEvent('the cut-off holder', lost),
    holdEvent(next.name, second),
    holdEvent('the healed holder', third),
  ]
  const isClean = await stage.becomes(
    'an empty lock',
    async () => (await stage.site.leftovers(stage.resource)).length === 0,
    1_000,
  )
  return {
    violations: [
      ...late,
      ...lateLoss(lost, lost.provenAtMs, leaseMs),
      ...staleWrite(held.token, granted.token, outcome),
      ...brokenHolds(holds),
      ...(isClean ? [] : ['A node of the old session was left behind.']),
    ],
    numbers: {
      boundMs,
      grantAfterMsMax: granted.acquiredAtMs - cutAtMs,
      ...(lost.lostAtMs === undefined ? {} : { lostAfterMsMax: lost.lostAtMs - lost.provenAtMs }),
      healedAfterMsMax: again.acquiredAtMs - second.validUntilMs,
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
    },
  }
}
