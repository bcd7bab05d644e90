import { brokenHolds, holdEvent } from '../history.ts'
import type { Findings, LockScenario, Mode } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * PostgreSQL is killed and starts again with what it kept, while the lock is held and another waits: the holder keeps it, since its
 * row was on the disk, and the other is served once it is released. A lock that lives in its connection is gone, and its holder
 * does not know.
 */
export const postgresRestart: LockScenario = {
  name: 'postgres-restart',
  backends: ['postgres'],
  runs: 3,
  runMsMax: 30_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const { site } = stage
  const lock = mode === 'control' ? 'naive-session' : 'holdfast'
  const holder = await stage.actor('the holder', { lock })
  const next = await stage.actor('the next holder', { lock })
  await holder.takeAtOnce()
  const { grant } = await stage.queueUp(next)
  // A waiter that lost its connection asks anew: the naive one only when it is told to.
  const waiting = grant.catch(() => undefined)
  await stage.step('the restart', site.restart())
  const seized = await stage.within(site.leaseMs, 'a grant behind the back of the holder', again(stage, lock))
  const held = await stage.step('the release', holder.release())
  const served = await stage.within(site.leaseMs + 1_000, 'the grant to who waits', waiting)
  const granted = seized ?? served
  if (granted === undefined) return { violations: ['Nobody was granted the lock after its release.'], numbers: {} }
  const holds = [holdEvent(holder.name, held), holdEvent(seized === undefined ? next.name : 'who came later', granted)]
  return {
    violations: brokenHolds(holds),
    numbers: { handedOverAfterMsMax: Math.max(0, granted.acquiredAtMs - held.validUntilMs) },
  }
}

async function again(stage: Stage, lock: 'holdfast' | 'naive-session') {
  const third = await stage.actor('who came later', { lock })
  return await third.take({ waitMs: 0 })
}
