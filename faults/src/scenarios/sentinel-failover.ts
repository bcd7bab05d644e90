import { lateLoss, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import { mergedNumbers } from '../numbers.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { SentinelSite } from '../sites/sentinel.ts'
import type { Actor } from '../stage/actor.ts'
import type { Stage } from '../stage/stage.ts'
import { OrderError } from '../stage/worker-process.ts'
import type { HoldReport } from '../worker/protocol.ts'

// The sentinels make the old master a replica some 10 s after they have seen it again.
const TOLD_MS_MAX = 30_000
const GRANT_MS_MAX = 15_000

/** How the others lose the master. */
interface Way {
  readonly overlap: string
  /** Whether the master goes on serving the holder, on his side of the cut. */
  readonly servesHolder: boolean
  begin(site: SentinelSite): Promise<void>
  end(site: SentinelSite): Promise<void>
}

const WAYS: readonly Way[] = [
  {
    overlap: 'overlapAfterKillMsMax',
    servesHolder: false,
    begin: site => site.master.kill(),
    end: async () => {},
  },
  {
    overlap: 'overlapAfterStopMsMax',
    servesHolder: false,
    begin: site => site.master.kill('SIGSTOP'),
    end: site => site.master.kill('SIGCONT'),
  },
  {
    overlap: 'overlapAfterCutMsMax',
    servesHolder: true,
    begin: async ({ masterLink }) => {
      masterLink.refuse()
      masterLink.dropConnections()
    },
    end: async ({ masterLink }) => masterLink.heal(),
  },
]

/**
 * The master is killed, stopped, or cut off together with the holder, and the sentinels promote a replica. Another gets the lock there. On
 * his side of a cut the holder still has it: that overlap is what `advisory` says, and is only measured. His writes are refused from then
 * on, tokens grow, and he is told within the TTL of the last renewal that any master acknowledged.
 */
export const sentinelFailover: LockScenario<SentinelSite> = {
  name: 'sentinel-failover',
  backends: ['sentinel'],
  runs: 1,
  runMsMax: 120_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage<SentinelSite>, mode: Mode): Promise<Findings> {
  const findings: Findings[] = []
  for (const way of WAYS) findings.push(await failOver(stage, mode, way))
  return {
    violations: findings.flatMap(({ violations }) => violations),
    numbers: mergedNumbers(findings.map(({ numbers }) => numbers)),
  }
}

// A connection to the old master is only found to be of no use by a command that is not answered.
async function takenAtLast(next: Actor): Promise<HoldReport> {
  const endMs = monotonicMs() + GRANT_MS_MAX
  for (;;) {
    try {
      return await next.takeAtOnce({ waitMs: 5_000 })
    } catch (error) {
      if (!(error instanceof OrderError) || error.code !== 'HF_UNAVAILABLE' || monotonicMs() > endMs) throw error
    }
  }
}

async function failOver(stage: Stage<SentinelSite>, mode: Mode, way: Way): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const { site } = stage
  if (await site.isReplaced()) await stage.step('servers that are whole', site.startAnew())
  const holder = await stage.actor('the holder', { lockVia: site.master })
  const next = await stage.actor('the next holder')
  const held = await holder.takeAtOnce({ waitMs: 5_000 })
  await stage.step('a first write', holder.write(isGuarded))
  await way.begin(site)
  await stage.becomes('another master', () => site.isReplaced())
  const granted = await stage.step('the next grant', takenAtLast(next))
  await stage.step('the write of the next holder', next.write(isGuarded))
  const outcome = await stage.step('the write of the old holder', holder.write(isGuarded))
  const stale = staleWrite(held.token, granted.token, outcome)
  // All that the control is for.
  if (!isGuarded) return { violations: stale, numbers: {} }
  await way.end(site)
  await stage.becomes('the signal to the old holder', () => holder.lostReport() !== undefined, TOLD_MS_MAX)
  const lost = holder.lostReport() ?? (await holder.report())
  await next.release()
  const overlapMs = Math.max(0, lost.validUntilMs - granted.acquiredAtMs)
  return {
    violations: [
      ...(granted.token > held.token
        ? []
        : [`The token ${granted.token} came after ${held.token}, and is not greater.`]),
      ...stale,
      ...lateLoss(lost, lost.provenAtMs, site.leaseMs),
      ...(held.guarantee === 'advisory' ? [] : [`The guarantee is ${held.guarantee}.`]),
      // Or the cut was none, and nothing was shown.
      ...(way.servesHolder && overlapMs === 0 ? ['The master did not serve its holder on his side of the cut.'] : []),
    ],
    numbers: {
      boundMs: site.leaseMs,
      [way.overlap]: overlapMs,
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
      ...(lost.lostAtMs === undefined ? {} : { lostAfterMsMax: lost.lostAtMs - lost.provenAtMs }),
    },
  }
}
