import type { FaultProxy } from '@holdfast/core/testing'
import { brokenHolds, holdEvent, lateness } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Actor } from '../stage/actor.ts'
import type { Stage } from '../stage/stage.ts'

/** In the length, in the header, and behind it. */
const CUTS_BYTES = [2, 9, 19]

/**
 * The connection is cut in the middle of a reply. The driver keeps the half of it for the next connection, whose replies it can
 * then never read; a holder must keep his lease, and whoever acquires must come to his turn.
 */
export const zkCutMidReply: LockScenario = {
  name: 'zk-cut-mid-reply',
  backends: ['zookeeper'],
  runs: 2,
  runMsMax: 40_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const boundMs = stage.site.leaseMs
  const network = await stage.proxy()
  const lock = mode === 'control' ? 'naive-expiring' : 'holdfast'
  const holder = await stage.actor('the holder', { lockVia: network, lock })
  const next = await stage.actor('the next holder', { lock })
  const violations: string[] = []
  let [healMsMax, takeMsMax, nextMsMax] = [0, 0, 0]
  for (const bytes of CUTS_BYTES) {
    await stage.step('a grant', holder.takeAtOnce({ waitMs: 5_000 }))
    await cut(stage, network, bytes)
    const cutAtMs = monotonicMs()
    const nextGrant = next.take()
    const released = await stage.within(boundMs, 'the release after a cut', holder.release())
    violations.push(...lateness('The release after a cut', released && monotonicMs() - cutAtMs, boundMs))
    if (released === undefined) break
    if (released.lostAtMs !== undefined) violations.push('The lease was lost by a cut that its session outlived.')
    const granted = await stage.within(boundMs, 'the next grant', nextGrant)
    violations.push(...lateness('The grant behind the cut holder', granted && granted.acquiredAtMs - cutAtMs, boundMs))
    if (granted === undefined) break
    const second = await next.release()
    const take = await takeThroughCut(stage, holder, network, bytes)
    violations.push(...lateness('A grant through a cut', take.tookMs, boundMs), ...take.violations)
    violations.push(...brokenHolds([holdEvent(holder.name, released), holdEvent(next.name, second)]))
    healMsMax = Math.max(healMsMax, monotonicMs() - cutAtMs)
    takeMsMax = Math.max(takeMsMax, take.tookMs ?? 0)
    nextMsMax = Math.max(nextMsMax, granted.acquiredAtMs - cutAtMs)
  }
  return { violations, numbers: { boundMs, cuts: CUTS_BYTES.length * 2, takeMsMax, nextMsMax, healMsMax } }
}

/** Cuts the reply that comes next, to whatever it is: a heartbeat, a ping. */
async function cut(stage: Stage, network: FaultProxy, bytes: number): Promise<void> {
  const accepted = network.accepted
  network.cutMidReply(bytes)
  await stage.becomes('a cut, and a new connection', () => network.accepted > accepted, stage.site.leaseMs)
}

async function takeThroughCut(
  stage: Stage,
  holder: Actor,
  network: FaultProxy,
  bytes: number,
): Promise<{ readonly tookMs: number | undefined; readonly violations: readonly string[] }> {
  network.cutMidReply(bytes)
  const startedAtMs = monotonicMs()
  const taken = await stage.within(stage.site.leaseMs, 'a grant through a cut', holder.take({ waitMs: 5_000 }))
  if (taken === undefined) return { tookMs: undefined, violations: [] }
  const tookMs = taken.acquiredAtMs - startedAtMs
  const contenders = await stage.site.leftovers(stage.resource)
  await holder.release()
  const isClean = await stage.becomes(
    'an empty lock',
    async () => (await stage.site.leftovers(stage.resource)).length === 0,
    1_000,
  )
  const violations = [
    ...(contenders.length === 1 ? [] : [`One acquire through a cut made ${contenders.length} contenders.`]),
    ...(isClean ? [] : ['A contender was left behind by a cut.']),
  ]
  return { tookMs, violations }
}
