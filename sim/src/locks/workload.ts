import type { AcquireOptions, Guard, Lease, LeaseMode } from '@holdfast/core'
import { HoldfastError, acquireLease } from '@holdfast/core'
import type { SimulatedProcess, SimulatedRegister } from '@holdfast/core/testing'
import type { Locks } from '@holdfast/lock'
import { createLocks } from '@holdfast/lock'

/** How many permits the pool has. */
const PERMITS = 2
const ROUNDS = 14
const PAUSE_MS_MAX = 500

interface Actor {
  readonly process: SimulatedProcess
  readonly locks: Locks
  readonly hasGuards: boolean
}

type Deed = (actor: Actor) => Promise<void>

const DEEDS: readonly Deed[] = [
  useMutex,
  useMutex,
  tryMutex,
  useNested,
  useBoth,
  readPage,
  writePage,
  takePermit,
  doTwice,
]

/**
 * What each process of the suite does: some rounds in which it takes a lock of one kind or another, changes the number that the lock
 * protects, and gives the lock back, most often.
 */
export async function work(process: SimulatedProcess, hasGuards: boolean): Promise<void> {
  const actor: Actor = { process, locks: createLocks({ backend: process.backend }), hasGuards }
  for (let round = 0; round < ROUNDS; round += 1) {
    await process.sleep(process.random.next() * PAUSE_MS_MAX)
    try {
      await pick(process, DEEDS)(actor)
    } catch (error) {
      // The lock was not free in time, or lost, or nobody answered: the next round is another try.
      if (!(error instanceof HoldfastError)) throw error
    }
  }
}

async function useMutex(actor: Actor): Promise<void> {
  const stock = actor.process.register('stock')
  await actor.locks.using('stock', lease => change(actor, stock, lease), optionsOf(actor, stock))
}

async function tryMutex(actor: Actor): Promise<void> {
  const stock = actor.process.register('stock')
  const { ttlMs, guard } = optionsOf(actor, stock)
  const lease = await actor.locks.tryAcquire('stock', given({ ttlMs, guard }))
  if (lease === undefined) return
  try {
    await change(actor, stock, lease)
  } finally {
    await giveBack(actor, lease)
  }
}

async function useNested(actor: Actor): Promise<void> {
  const stock = actor.process.register('stock')
  const options = { ...optionsOf(actor, stock), reentrant: true }
  await actor.locks.using(
    'stock',
    async outer => {
      const { value } = outer.token
      await actor.locks.using(
        'stock',
        async inner => {
          if (inner.token.value !== value) throw new Error(`the nested token ${inner.token.value} is not ${value}`)
          await change(actor, stock, inner)
        },
        { reentrant: true },
      )
      await change(actor, stock, outer)
    },
    options,
  )
}

async function useBoth(actor: Actor): Promise<void> {
  const { ttlMs, waitMs } = optionsOf(actor, actor.process.register('stock'))
  await actor.locks.all(['till', 'stock']).using(() => pass(actor), given({ ttlMs, waitMs }))
}

/** Two of one process that want the same: they wait in one line. */
async function doTwice(actor: Actor): Promise<void> {
  const results = await Promise.allSettled([useMutex(actor), useMutex(actor)])
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function readPage(actor: Actor): Promise<void> {
  const page = actor.process.register('page')
  const { ttlMs, waitMs } = optionsOf(actor, page)
  const lease = await held(actor, 'page', { kind: 'read' }, given({ ttlMs, waitMs }))
  try {
    await page.read()
    await pass(actor)
  } finally {
    await giveBack(actor, lease)
  }
}

async function writePage(actor: Actor): Promise<void> {
  const page = actor.process.register('page')
  const lease = await held(actor, 'page', { kind: 'write' }, optionsOf(actor, page))
  try {
    await change(actor, page, lease)
  } finally {
    await giveBack(actor, lease)
  }
}

async function takePermit(actor: Actor): Promise<void> {
  const { ttlMs, waitMs } = optionsOf(actor, actor.process.register('pool'))
  const lease = await held(actor, 'pool', { kind: 'permit', limit: PERMITS }, given({ ttlMs, waitMs }))
  try {
    // Each slot protects a number of its own; its guard is raised before the number is read.
    const slot = actor.process.register(lease.resource)
    if (actor.hasGuards) await slot.guard.raise(lease)
    await change(actor, slot, lease)
  } finally {
    await giveBack(actor, lease)
  }
}

function held({ process }: Actor, name: string, mode: LeaseMode, options: AcquireOptions): Promise<Lease> {
  return acquireLease(process.backend, name, options, mode)
}

/** Reads a number and writes one more, with some time in between. */
async function change(actor: Actor, register: SimulatedRegister, lease: Lease): Promise<void> {
  const value = await register.read()
  await pass(actor)
  // Not everybody asks before he acts, and the answer can be old by the time that the write arrives.
  if (actor.process.random.next() < 0.5) lease.assertHeld()
  await register.write(value + 1, actor.hasGuards ? lease : undefined)
}

async function pass({ process }: Actor): Promise<void> {
  await process.sleep(process.random.next() * pick(process, [5, 100, 1_500]))
}

// Not all wait for the answer, and few forget it: those hold on, and renew, until they are done.
async function giveBack({ process }: Actor, lease: Lease): Promise<void> {
  const released = lease.release()
  if (process.random.next() < 0.8) await released
}

function optionsOf({ process, hasGuards }: Actor, { guard }: SimulatedRegister): AcquireOptions {
  const ttlMs = pick(process, [500, 2_000, 10_000, 30_000])
  const waitMs = pick(process, [0, 400, 5_000, 60_000, undefined])
  return given({ ttlMs, waitMs, guard: hasGuards ? guard : undefined })
}

function given(options: {
  readonly ttlMs?: number | undefined
  readonly waitMs?: number | undefined
  readonly guard?: Guard | undefined
}): AcquireOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function pick<T>({ random }: SimulatedProcess, choices: readonly T[]): T {
  return choices[Math.floor(random.next() * choices.length)] as T
}
