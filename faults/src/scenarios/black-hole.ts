import { setTimeout as sleep } from 'node:timers/promises'
import { lateLoss } from '../history.ts'
import type { Findings, Mode, Scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const DIRECTIONS = ['both', 'to-client', 'to-server'] as const

/**
 * The link of the holder falls silent, without an end: the signal of the loss comes no later than the TTL after the last
 * acknowledged renewal was sent. The naive lock believes for as long as no renewal is refused.
 */
export const blackHole: Scenario = {
  name: 'black-hole',
  backends: ['redis', 'zookeeper'],
  runs: 8,
  runMsMax: 20_000,
  parallelRuns: 4,
  isTimed: true,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const { leaseMs } = stage.site
  const network = await stage.proxy()
  const holder = await stage.actor('the holder', { lockVia: network, lock: mode === 'control' ? 'naive-expiring' : 'holdfast' })
  await stage.step('the grant', holder.takeAtOnce())
  // Any moment between two renewals, before and after the first of them.
  await sleep(Math.random() * leaseMs)
  const direction = DIRECTIONS[Math.floor(Math.random() * DIRECTIONS.length)] ?? 'both'
  network.blackHole({ direction })
  const isTold = await stage.becomes('the signal', () => holder.lostReport() !== undefined, leaseMs + 1_000)
  const report = holder.lostReport() ?? (await holder.report())
  const violations = lateLoss(report, report.provenAtMs, leaseMs)
  if (!isTold || report.lostAtMs === undefined) return { violations, numbers: {} }
  const afterMs = report.lostAtMs - report.provenAtMs
  return { violations, numbers: { boundMs: leaseMs, lostAfterMsMax: afterMs, lostAfterMsMin: afterMs, slackMsMin: leaseMs - afterMs } }
}
