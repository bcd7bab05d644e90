import { lateLoss, staleWrite } from '../history.ts'
import type { Findings, Mode, Scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * Redis loses everything while the lock is held: FLUSHALL, and a restart with nothing. Another is granted it at once: that overlap
 * is what `advisory` says, and is only measured. The old holder's writes must be refused from then on, and he must be told in time.
 */
export const redisRestartEmpty: Scenario = {
  name: 'redis-restart-empty',
  backends: ['redis'],
  runs: 2,
  runMsMax: 25_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const { site } = stage
  const flushed = await play(stage, mode, () => site.wipe(stage.resource))
  const restarted = await play(stage, mode, () => site.restartEmpty())
  return {
    violations: [...flushed.violations, ...restarted.violations],
    numbers: {
      overlapAfterFlushMsMax: flushed.overlapMs,
      overlapAfterRestartMsMax: restarted.overlapMs,
      staleAccepted: flushed.staleAccepted + restarted.staleAccepted,
      lostAfterMsMax: Math.max(flushed.lostAfterMs, restarted.lostAfterMs),
    },
  }
}

async function play(
  stage: Stage,
  mode: Mode,
  lose: () => Promise<void>,
): Promise<{ violations: readonly string[]; overlapMs: number; staleAccepted: number; lostAfterMs: number }> {
  const isGuarded = mode === 'guarded'
  const holder = await stage.actor('the holder')
  const next = await stage.actor('the next holder')
  const held = await holder.takeAtOnce({ isGuarded })
  await stage.step('a first write', holder.write(isGuarded))
  await stage.step('the loss of the data', lose())
  const granted = await stage.step('the next grant', next.takeAtOnce({ isGuarded, waitMs: 10_000 }))
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the old holder', holder.write(isGuarded))
  await stage.becomes(
    'the signal to the old holder',
    () => holder.lostReport() !== undefined,
    stage.site.leaseMs + 1_000,
  )
  const lost = holder.lostReport() ?? (await holder.report())
  await next.release()
  return {
    violations: [
      ...staleWrite(held.token, granted.token, outcome),
      ...lateLoss(lost, lost.provenAtMs, stage.site.leaseMs),
    ],
    overlapMs: Math.max(0, lost.validUntilMs - granted.acquiredAtMs),
    staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
    lostAfterMs: (lost.lostAtMs ?? Infinity) - lost.provenAtMs,
  }
}
