import { setTimeout as sleep } from 'node:timers/promises'
import { lateLoss } from '../history.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import type { HoldReport } from '../worker/protocol.ts'

const DIRECTIONS = ['both', 'to-client', 'to-server'] as const

/**
 * The link of the holder falls silent, without an end: the signal of the loss comes no later than the TTL after the last
 * acknowledged renewal was sent. The naive lock believes for as long as no renewal is refused.
 */
export const blackHole: LockScenario = {
  name: 'black-hole',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 8,
  runMsMax: 30_000,
  parallelRuns: 4,
  isTimed: true,
  run,
}

const ATTEMPTS_MAX = 5
const DELAY_MS_MAX = 100

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  for (let attempt = 1; ; attempt++) {
    const report = await fallSilent(stage, mode)
    const findings = judge(stage, report)
    // The promise is made for a loop that runs: where the machine had no time for ours, nothing is shown, and it is done again.
    const isExcused = report.lostAtMs !== undefined && report.stalledMs >= -(findings.numbers['slackMsMin'] ?? 0)
    if (findings.violations.length === 0 || !isExcused || attempt === ATTEMPTS_MAX) {
      return { ...findings, numbers: { ...findings.numbers, repeated: attempt - 1 } }
    }
    // The silent holder's lease ends first.
    await sleep(stage.site.leaseMs + 1_000)
  }
}

async function fallSilent(stage: Stage, mode: Mode): Promise<HoldReport> {
  const { leaseMs } = stage.site
  const network = await stage.proxy()
  const lock = mode === 'control' ? 'naive-expiring' : 'holdfast'
  const holder = await stage.actor('the holder', { lockVia: network, lock })
  // Answers that take their time: whoever counts from when they come counts too long.
  network.delay(Math.random() * DELAY_MS_MAX)
  await stage.step('the grant', holder.takeAtOnce())
  // Any moment between two renewals, before and after the first of them.
  await sleep(Math.random() * leaseMs)
  network.blackHole({ direction: DIRECTIONS[Math.floor(Math.random() * DIRECTIONS.length)] ?? 'both' })
  await stage.becomes('the signal', () => holder.lostReport() !== undefined, leaseMs + 1_000)
  return holder.lostReport() ?? (await holder.report())
}

function judge(stage: Stage, report: HoldReport): Findings {
  const { leaseMs } = stage.site
  const violations = lateLoss(report, report.provenAtMs, leaseMs)
  if (report.lostAtMs === undefined) return { violations, numbers: {} }
  const afterMs = report.lostAtMs - report.provenAtMs
  return {
    violations,
    numbers: { boundMs: leaseMs, lostAfterMsMax: afterMs, lostAfterMsMin: afterMs, slackMsMin: leaseMs - afterMs },
  }
}
