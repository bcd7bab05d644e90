import { setTimeout as sleep } from 'node:timers/promises'
import type { HoldEvent } from '@holdfast/core/testing'
import { brokenHolds, holdEvent } from '../history.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Actor } from '../stage/actor.ts'
import type { Stage } from '../stage/stage.ts'

/** Time for whoever was woken late to act on it, should it do so. */
const AFTERMATH_MS = 300
const HANDED_OVER_MS = 100

/**
 * The lease is handed to a waiter who hears of it two TTLs later: once because the network held the message, once because the
 * waiter was stopped. It went to another meanwhile, so the waiter must wait on.
 */
export const handoverDelayed: LockScenario = {
  name: 'handover-delayed',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 2,
  runMsMax: 40_000,
  run,
}

interface Cast {
  readonly holder: Actor
  readonly waiter: Actor
  readonly rival: Actor
}

/** What keeps the message from the waiter, and what lets it through. */
interface Delay {
  begin(): void | Promise<void>
  end(): void | Promise<void>
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const network = await stage.proxy()
  const lock = mode === 'control' ? 'naive-expiring' : 'holdfast'
  const cast: Cast = {
    holder: await stage.actor('the first holder', { lock }),
    waiter: await stage.actor('the waiter', { lock, lockVia: network }),
    rival: await stage.actor('the rival', { lock }),
  }
  // A session lives on what its client sends, so there the silence must be complete.
  const direction = stage.site.kind === 'zookeeper' ? 'both' : 'to-client'
  const held: Delay = { begin: () => network.hold({ direction }), end: () => network.releaseHeld() }
  const stopped: Delay = { begin: () => cast.waiter.stop(), end: () => cast.waiter.resume() }
  const holds = [...(await play(stage, mode, cast, held))]
  // What is often written by hand waits by asking again: to stop it shows nothing.
  if (mode === 'guarded') holds.push(...(await play(stage, mode, cast, stopped)))
  return { violations: brokenHolds(holds), numbers: { holds: holds.length } }
}

async function play(stage: Stage, mode: Mode, { holder, waiter, rival }: Cast, delay: Delay): Promise<HoldEvent[]> {
  await stage.step('the first grant', holder.takeAtOnce({ waitMs: 5_000 }))
  // A lock that waits by asking again is not handed over: it is the answer to the first question after the release that is late.
  const isAsking = mode === 'control' && stage.site.kind === 'redis'
  const before = isAsking ? undefined : await stage.queueUp(waiter)
  await delay.begin()
  const first = await stage.step('the release', holder.release())
  const { grant: waitersTurn } = before ?? (await stage.queueUp(waiter))
  await sleep(HANDED_OVER_MS)
  const rivalsTurn = rival.take()
  await sleep(stage.site.leaseMs * 2)
  await stage.step('the turn of the rival', rivalsTurn)
  await delay.end()
  await sleep(AFTERMATH_MS)
  const last = mode === 'control' ? waiter.report() : undefined
  const second = await stage.step('the release of the rival', rival.release())
  await stage.step('the turn of the waiter', waitersTurn)
  const third = await stage.step('the end of its hold', last ?? waiter.release())
  return [holdEvent(holder.name, first), holdEvent(rival.name, second), holdEvent(waiter.name, third)]
}
