import { setTimeout as sleep } from 'node:timers/promises'
import type { Chronicle } from './chronicle.ts'
import type { Crew, CrewMember } from './crew/crew.ts'

/** The share of the stock that is sold before each fault. */
const FAULT_EVERY = 0.25
const THOUGHT_MS = 100
const QUIET_MS = 500

/**
 * Everybody sells until nothing is left. One worker is stopped while it holds the lock, another is killed while it holds the
 * lock, and then the first one goes on, long after its lease has ended. Rejects when a worker failed.
 */
export async function playStory(crew: Crew, chronicle: Chronicle, stock: number): Promise<void> {
  const failure = firstFailure(chronicle)
  const everybodyLeft = Promise.all(crew.members.map(member => member.gone))
  await Promise.race([failure, chronicle.until(() => readyCount(chronicle) === crew.members.length)])
  for (const member of crew.members) member.openDoors()
  await Promise.race([failure, everybodyLeft, playFaults(crew, chronicle, stock).then(() => everybodyLeft)])
}

async function firstFailure(chronicle: Chronicle): Promise<never> {
  await chronicle.until(() => chronicle.failure !== undefined)
  throw new Error(chronicle.failure)
}

async function playFaults(crew: Crew, chronicle: Chronicle, stock: number): Promise<void> {
  await untilSold(chronicle, stock * FAULT_EVERY)
  const sleeper = await caughtHolding(crew, chronicle)
  sleeper.stop()
  await untilSold(chronicle, soldCount(chronicle) + stock * FAULT_EVERY)
  if (crew.canBeKilled) {
    const victim = await caughtHolding(crew, chronicle)
    victim.kill()
    // The dead worker's lease has still some time to go: nobody else writes when the sleeper wakes up.
    await sleep(QUIET_MS)
  }
  sleeper.resume()
}

/** Whoever is last in the line: there is time to arrange for a long hold before its turn comes. Resolves when it holds the lock. */
async function caughtHolding(crew: Crew, chronicle: Chronicle): Promise<CrewMember> {
  await chronicle.until(() => lastInLine(crew, chronicle) !== undefined)
  const member = lastInLine(crew, chronicle) as CrewMember
  member.hesitate()
  await chronicle.until(() => chronicle.lastOf(member.worker)?.kind === 'read')
  // Until it thinks, and not only says that it will.
  await sleep(THOUGHT_MS)
  return member
}

function lastInLine(crew: Crew, chronicle: Chronicle): CrewMember | undefined {
  const waiting = crew.members
    .map(member => ({ member, last: chronicle.lastOf(member.worker) }))
    .filter(({ last }) => last?.kind === 'asked')
  return waiting.toSorted((a, b) => (b.last?.atMs ?? 0) - (a.last?.atMs ?? 0))[0]?.member
}

function untilSold(chronicle: Chronicle, count: number): Promise<void> {
  return chronicle.until(() => soldCount(chronicle) >= count)
}

function soldCount(chronicle: Chronicle): number {
  return chronicle.count(({ kind }) => kind === 'sold')
}

function readyCount(chronicle: Chronicle): number {
  return chronicle.count(({ kind }) => kind === 'ready')
}
