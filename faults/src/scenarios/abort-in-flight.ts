import { setTimeout as sleep } from 'node:timers/promises'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Actor } from '../stage/actor.ts'
import type { Stage } from '../stage/stage.ts'
import type { StormReport } from '../worker/protocol.ts'

const ACQUIRES = 80
const DELAY_MS_MAX = 60
// Longer than the run: what is left is not to vanish by itself before we look.
const TTL_MS = 15_000
const CLEAN_MS = 1_000

/**
 * Acquires are aborted at random moments, while others do the same; then a process is killed among its acquires. Nothing of them
 * stays: no place in the queue, no lock, no node, no listener. The control stops waiting without telling the acquire.
 */
export const abortInFlight: LockScenario = {
  name: 'abort-in-flight',
  backends: ['memory', 'redis', 'zookeeper', 'postgres'],
  runs: 2,
  runMsMax: 40_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isTold = mode === 'guarded'
  const ttlMs = stage.site.kind === 'zookeeper' ? undefined : TTL_MS
  const wish = { acquires: ACQUIRES, delayMsMax: DELAY_MS_MAX, isTold, ttlMs }
  const actors = [
    await stage.actor('one who aborts'),
    ...(stage.site.kind === 'memory' ? [] : [await stage.actor('another')]),
  ]
  const reports = await stage.step('the end of the aborts', Promise.all(actors.map(actor => actor.storm(wish))))
  const leftAfterAborts = await leftAfter(stage, actors, CLEAN_MS)
  const kill = isTold && stage.site.kind !== 'memory' ? await killed(stage) : { violations: [], leftAfterKill: 0 }
  const total = (count: (report: StormReport) => number): number =>
    reports.reduce((sum, report) => sum + count(report), 0)
  const listeners = total(report => report.listeners)
  return {
    violations: [
      ...leftAfterAborts.map(left => `An aborted acquire left ${left} behind.`),
      ...(listeners === 0 ? [] : [`Aborted acquires left ${listeners} listeners behind.`]),
      ...reports.flatMap(report => report.failed.map(failure => `An acquire failed: ${failure}`)),
      ...kill.violations,
    ],
    numbers: { aborted: total(report => report.aborted), granted: total(report => report.granted), listeners },
  }
}

/** What is left once there was time to clean up. */
async function leftAfter(stage: Stage, actors: readonly Actor[], boundMs: number): Promise<readonly string[]> {
  let left: readonly string[] = []
  const look = async (): Promise<boolean> => {
    left =
      stage.site.kind === 'memory' ? await (actors[0]?.leftovers() ?? []) : await stage.site.leftovers(stage.resource)
    return left.length === 0
  }
  await stage.becomes('an empty lock', look, boundMs)
  return left
}

/** Nobody cleans up behind a killed process: it costs the others one lease, and then nothing of it is left. */
async function killed(stage: Stage): Promise<{ readonly violations: readonly string[] }> {
  const boundMs = stage.site.leaseMs + 1_000
  const victim = await stage.actor('the killed one')
  const other = await stage.actor('the one who comes after')
  const wish = { acquires: 1_000, delayMsMax: DELAY_MS_MAX, isTold: true, ttlMs: stage.site.ttlMs }
  victim.storm(wish).catch(() => {})
  await sleep(20 + Math.random() * 100)
  await victim.kill()
  const grant = await stage.within(boundMs + 500, 'a grant after the kill', other.take({ waitMs: boundMs }))
  if (grant === undefined) return { violations: [`Nobody was granted the lock within ${boundMs} ms of the kill.`] }
  await other.release()
  const left = await leftAfter(stage, [], boundMs)
  return { violations: left.map(name => `A killed process left ${name} behind.`) }
}
