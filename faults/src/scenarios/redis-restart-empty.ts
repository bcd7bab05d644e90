import { lateLoss, staleWrite } from '../history.ts'
import { mergedNumbers } from '../numbers.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * Redis loses everything while the lock is held: FLUSHALL, and a restart with nothing. Another is granted it at once: that overlap
 * is what `advisory` says, and is only measured. The old holder's writes must be refused from then on, and he must be told in time.
 */
export const redisRestartEmpty: LockScenario = {
  name: 'redis-restart-empty',
  backends: ['redis'],
  runs: 2,
  runMsMax: 25_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const { site, resource } = stage
  const flushed = await lose(stage, mode, { overlap: 'overlapAfterFlushMsMax', begin: () => site.wipe(resource) })
  const restarted = await lose(stage, mode, { overlap: 'overlapAfterRestartMsMax', begin: () => site.restartEmpty() })
  return {
    violations: [...flushed.violations, ...restarted.violations],
    numbers: mergedNumbers([flushed.numbers, restarted.numbers]),
  }
}

/** A way to lose all data, and the name of what is measured. */
interface Loss {
  readonly overlap: string
  begin(): Promise<void>
}

async function lose(stage: Stage, mode: Mode, loss: Loss): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const { leaseMs } = stage.site
  const holder = await stage.actor('the holder')
  const next = await stage.actor('the next holder')
  const held = await holder.takeAtOnce({ isGuarded })
  await stage.step('a first write', holder.write(isGuarded))
  await stage.step('the loss of the data', loss.begin())
  const granted = await stage.step('the next grant', next.takeAtOnce({ isGuarded, waitMs: 10_000 }))
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the old holder', holder.write(isGuarded))
  await stage.becomes('the signal to the old holder', () => holder.lostReport() !== undefined, leaseMs + 1_000)
  const lost = holder.lostReport() ?? (await holder.report())
  await next.release()
  const isTokenGreater = granted.token > held.token
  return {
    violations: [
      ...(isTokenGreater ? [] : [`The token ${granted.token} came after ${held.token}, and is not greater.`]),
      ...staleWrite(held.token, granted.token, outcome),
      ...lateLoss(lost, lost.provenAtMs, leaseMs),
    ],
    numbers: {
      [loss.overlap]: Math.max(0, lost.validUntilMs - granted.acquiredAtMs),
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
      ...(lost.lostAtMs === undefined ? {} : { lostAfterMsMax: lost.lostAtMs - lost.provenAtMs }),
    },
  }
}
