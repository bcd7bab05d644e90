import { brokenHolds, holdEvent, lateness, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/**
 * The holder is killed while a write of his is still in the network; it arrives after the next holder's. Without a guard it
 * overwrites that.
 */
export const sigkillHolder: LockScenario = {
  name: 'sigkill-holder',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 3,
  runMsMax: 20_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const { site } = stage
  const boundMs = site.leaseMs + 1_000
  const network = await stage.proxy()
  const holder = await stage.actor('the killed holder', { dataVia: network })
  const next = await stage.actor('the next holder')
  const held = await holder.takeAtOnce()
  // So that the write that is caught is one request, not the opening of a connection.
  await stage.step('a first write', holder.write(isGuarded))
  network.hold({ direction: 'to-server' })
  const sentBytes = network.bytesToServer
  holder.write(isGuarded).catch(() => {})
  await stage.becomes('the write that the network holds', () => network.bytesToServer > sentBytes)
  const beforeKill = await holder.report()
  await holder.kill()
  const killedAtMs = monotonicMs()

  const granted = await stage.within(boundMs + 1_000, 'the next grant', next.take({ waitMs: boundMs + 500, isGuarded }))
  const late = lateness('The grant after a kill', granted && granted.acquiredAtMs - killedAtMs, boundMs)
  if (granted === undefined) return { violations: late, numbers: { bound: boundMs } }
  await stage.step('the write of the next holder', next.write(isGuarded))
  const answeredBytes = network.bytesToClient
  network.releaseHeld()
  await stage.becomes('an answer to the late write', () => network.bytesToClient > answeredBytes, 2_000)
  const last = await site.lastWrite(stage.resource)
  const isTaken = last === held.token
  const ended = { ...beforeKill, validUntilMs: Math.min(beforeKill.validUntilMs, killedAtMs) }
  return {
    violations: [
      ...late,
      ...brokenHolds([holdEvent(holder.name, ended), holdEvent(next.name, await next.report())]),
      ...staleWrite(held.token, granted.token, isTaken ? { kind: 'accepted', order: 0 } : { kind: 'refused' }),
    ],
    numbers: { boundMs, grantAfterMsMax: granted.acquiredAtMs - killedAtMs, staleAccepted: isTaken ? 1 : 0 },
  }
}
