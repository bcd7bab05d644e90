import { setTimeout as sleep } from 'node:timers/promises'
import { brokenHolds, holdEvent, outOfOrder, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { EnsembleSite } from '../sites/ensemble.ts'
import type { Stage } from '../stage/stage.ts'
import type { HoldReport } from '../worker/protocol.ts'

const SESSION_MS = 10_000
const WAITERS = 3
const HOLD_MS = 50

/**
 * The leader of the ensemble is killed while the lock is held and others wait. Sessions outlive it, and so does the lease once another
 * leads within the session; then it is released, and the waiters are served in order. A lock that ends with its connection is lost.
 */
export const zkLeaderKill: LockScenario<EnsembleSite> = {
  name: 'zk-leader-kill',
  backends: ['ensemble'],
  runs: 2,
  runMsMax: 60_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage<EnsembleSite>, mode: Mode): Promise<Findings> {
  const { site } = stage
  const isGuarded = mode === 'guarded'
  // Of the run before, one server is down.
  await stage.step('an ensemble that is whole', site.heal())
  const options = { lock: isGuarded ? 'holdfast' : 'naive-session', sessionMs: SESSION_MS } as const
  const holder = await stage.actor('the holder', options)
  const names = Array.from({ length: WAITERS }, (_, index) => `waiter ${index + 1}`)
  const waiters = await Promise.all(names.map(name => stage.actor(name, options)))
  const held = await holder.takeAtOnce()
  await stage.step('a first write', holder.write(isGuarded))
  const grants: Promise<HoldReport | undefined>[] = []
  for (const waiter of waiters) {
    const { grant } = await stage.queueUp(waiter, { holdMs: HOLD_MS, isGuarded, waitMs: SESSION_MS * 2 })
    // The naive one may break with its connection.
    grants.push(isGuarded ? grant : grant.catch(() => undefined))
  }
  const leader = await site.leader()
  if (leader === undefined) throw new Error('No server leads.')
  await leader.kill()
  const killedAtMs = monotonicMs()
  const isLed = async (): Promise<boolean> => (await site.leader()) !== undefined
  await stage.becomes('another leader', isLed, SESSION_MS)
  const ledAfterMs = monotonicMs() - killedAtMs
  const isProven = async (): Promise<boolean> =>
    holder.lostReport() !== undefined || (await holder.report()).provenAtMs > killedAtMs + ledAfterMs
  await stage.becomes('a proof that passed the new leader', isProven, SESSION_MS)
  const provenAfterMs = monotonicMs() - killedAtMs

  const lost = holder.lostReport()
  const released = await stage.step('the release', holder.release())
  const served = await stage.step('the grants to those who wait', Promise.all(grants))
  await sleep(HOLD_MS * 2)
  const outcome = await stage.step('the late write of the first holder', holder.write(isGuarded))
  const newest = served.at(-1)
  const second = served.flatMap((grant, index) =>
    grant === undefined ? [] : [holdEvent(names[index] ?? '', until(grant))],
  )
  return {
    violations: [
      ...(lost === undefined || ledAfterMs > SESSION_MS / 2
        ? []
        : ['The lease did not survive the kill of the leader.']),
      ...(newest === undefined ? [] : staleWrite(held.token, newest.token, outcome)),
      ...brokenHolds([holdEvent(holder.name, released), ...second]),
      ...outOfOrder(served),
      ...(held.guarantee === 'lease' || !isGuarded ? [] : [`The guarantee is ${held.guarantee}.`]),
    ],
    numbers: {
      sessionMsMax: SESSION_MS,
      ledAfterMsMax: ledAfterMs,
      provenAfterMsMax: provenAfterMs,
      survived: lost === undefined ? 1 : 0,
      allServedAfterMsMax: Math.max(...served.map(grant => grant?.acquiredAtMs ?? Infinity)) - released.validUntilMs,
      staleAccepted: outcome.kind === 'accepted' ? 1 : 0,
    },
  }
}

function until(grant: HoldReport): HoldReport {
  return { ...grant, validUntilMs: grant.acquiredAtMs + HOLD_MS / 2 }
}
