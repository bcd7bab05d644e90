import { memoryFence } from '@holdfast/core/memory'
import { expect } from 'vitest'
import type { Lease, Locks } from '../index.ts'
import { crowd, exclusiveCases } from './lock-recipes.fixture.ts'
import type { Recipe } from './recipe.fixture.ts'
import { BRIEF, PATIENCE } from './recipe.fixture.ts'
import { Room, until } from './scene.fixture.ts'

const readWrite: Recipe = {
  row: '`readWrite`',
  cases: [
    ...exclusiveCases((locks, { name }) => locks.readWrite(name).write),
    {
      name: 'is read by many, and by none of them while one writes',
      run: async scene => {
        const parties = [scene.party(), scene.party()].map(({ locks }) => locks.readWrite(scene.name))
        const [one, other] = parties as [(typeof parties)[0], (typeof parties)[0]]
        const readers = await Promise.all(parties.map(({ read }) => read.acquire()))
        expect(await one.write.tryAcquire()).toBeUndefined()
        await expect(one.write.acquire(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        for (const reader of readers) await reader.release()
        const writer = await one.write.acquire(PATIENCE)
        for (const reader of readers) expect(writer.token.value).toBeGreaterThan(reader.token.value)
        expect(await other.read.tryAcquire()).toBeUndefined()
        await expect(other.read.acquire(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
      },
    },
    {
      name: 'refuses a reader that wants to write',
      run: async scene => {
        const { read, write } = scene.party().locks.readWrite(scene.name)
        const reader = await read.acquire()
        await expect(write.acquire({ within: reader })).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
      },
    },
    {
      name: 'is free for a writer when its reader is cut off',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const reader = await dying.locks.readWrite(scene.name).read.acquire()
        dying.fallSilent()
        await scene.party().locks.readWrite(scene.name).write.acquire(PATIENCE)
        expect(reader.remainingMs()).toBe(0)
      },
    },
  ],
  refused: scene => {
    const { read, write } = scene.party().locks.readWrite(scene.name)
    return [read, write].flatMap(lock => [
      () => lock.acquire(),
      () => lock.tryAcquire(),
      () => lock.using(() => {}),
      () => lock.inspect(),
    ])
  },
}

const downgrade: Recipe = {
  row: '`downgrade`',
  cases: [
    {
      name: 'lets readers in beside who wrote, with the same token, and no writer',
      run: async scene => {
        const [one, other] = [scene.party().locks.readWrite(scene.name), scene.party().locks.readWrite(scene.name)]
        const writer = await one.write.acquire()
        const waiting = other.read.acquire(PATIENCE)
        const reader = await one.downgrade(writer)
        const tokens = [reader.token.value, (await waiting).token.value]
        expect(tokens).toEqual([writer.token.value, writer.token.value])
        expect(await other.write.tryAcquire()).toBeUndefined()
        await expect(one.downgrade(reader)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
      },
    },
  ],
  refused: scene => {
    const lock = scene.party().locks.readWrite(scene.name)
    return [async () => lock.downgrade(await lock.write.acquire())]
  },
}

const two = { limit: 2 } as const

const semaphore: Recipe = {
  row: '`semaphore`',
  cases: [
    {
      name: 'lets in no more than its limit',
      run: async scene => {
        const room = new Room()
        await crowd(scene, locks => locks.semaphore(scene.name, two).using(() => room.visit(), PATIENCE))
        expect(room.most).toBeLessThanOrEqual(2)
      },
    },
    {
      name: 'lets in as many, is refused at once and in time while they are held, and goes on with the one that is given back',
      run: async scene => {
        const [one, other] = [scene.party(), scene.party()].map(({ locks }) => locks.semaphore(scene.name, two))
        const permits = await Promise.all([one?.acquire(), other?.acquire()])
        expect(await other?.tryAcquire()).toBeUndefined()
        await expect(other?.acquire(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        const waiting = other?.acquire(PATIENCE)
        await permits[0]?.release()
        permits[1]?.assertHeld()
        await (await waiting)?.release()
      },
    },
    {
      name: 'has the permits again of who is cut off',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const both = (locks: Locks): Promise<Lease[]> =>
          Promise.all([0, 1].map(() => locks.semaphore(scene.name, two).acquire(PATIENCE)))
        const lost = await both(dying.locks)
        dying.fallSilent()
        await both(scene.party().locks)
        expect(lost.map(permit => permit.remainingMs())).toEqual([0, 0])
      },
    },
  ],
  refused: scene => {
    const permits = scene.party().locks.semaphore(scene.name, two)
    return [() => permits.acquire(), () => permits.tryAcquire(), () => permits.using(() => {}), () => permits.inspect()]
  },
}

const slots: Recipe = {
  row: 'permits have slots, and may be guarded',
  cases: [
    {
      name: 'are numbered, each once, and the guard is raised for the slot',
      run: async scene => {
        const guard = memoryFence()
        const [one, other] = [scene.party(), scene.party()].map(({ locks }) => locks.semaphore(scene.name, two))
        const permits = await Promise.all([one?.acquire({ guard }), other?.acquire({ guard })])
        const names = permits.map(permit => permit?.resource).sort()
        expect(names).toEqual([`${scene.name}#0`, `${scene.name}#1`])
      },
    },
  ],
  refused: scene => [
    () => scene.party().locks.semaphore(scene.name, two).acquire({ guard: memoryFence() }),
    () => scene.party().locks.semaphore(scene.name, two).tryAcquire({ guard: memoryFence() }),
  ],
}

const revocation: Recipe = {
  row: '`requestRevocation`, `onRevoke`',
  cases: [
    {
      name: 'asks a holder of another process, who hears it once and is not made to go',
      run: async scene => {
        const [holder, asker] = [scene.party().locks, scene.party().locks]
        const lease = await holder.acquire(scene.name)
        let heard = 0
        lease.onRevoke(() => (heard += 1))
        const waiting = asker.acquire(scene.name, PATIENCE)
        expect(await asker.mutex(scene.name).requestRevocation()).toBe(1)
        await until(() => heard > 0)
        lease.assertHeld()
        await lease.release()
        await waiting
        expect(heard).toBe(1)
      },
    },
    {
      name: 'asks all readers, and all permits, and nobody where nobody holds',
      run: async scene => {
        const [holder, asker] = [scene.party().locks, scene.party().locks]
        const leases = [
          await holder.readWrite(scene.name).read.acquire(),
          await holder.readWrite(scene.name).read.acquire(),
          await holder.semaphore(scene.name, two).acquire(),
        ]
        const heard = leases.map(lease => new Promise<void>(resolve => lease.onRevoke(resolve)))
        expect(await asker.readWrite(scene.name).read.requestRevocation()).toBe(2)
        expect(await asker.semaphore(scene.name, two).requestRevocation()).toBe(1)
        expect(await asker.mutex(scene.name).requestRevocation()).toBe(0)
        await Promise.all(heard)
      },
    },
  ],
  refused: scene => {
    const { locks } = scene.party()
    return [
      () => locks.mutex(scene.name).requestRevocation(),
      () => locks.all([scene.name]).requestRevocation(),
      async () => (await locks.acquire(scene.name)).onRevoke(() => {}),
    ]
  },
}

const holders: Recipe = {
  row: '`inspect` tells who holds',
  cases: [
    {
      name: 'and of what token, what it says of itself, and for how long',
      run: async scene => {
        const { locks } = scene.party()
        const lease = await locks.acquire(scene.name, { meta: { host: 'a' } })
        const { inspect } = scene.party().locks
        const { holder } = await inspect(scene.name)
        expect(holder).toMatchObject({ mode: 'exclusive', meta: { host: 'a' } })
        // In a quorum a server may have proposed a greater one, which its vote keeps.
        const isOf = (token = 0n): boolean =>
          scene.store.column === 'quorum' ? token >= lease.token.value : token === lease.token.value
        expect(isOf(holder?.token.value)).toBe(true)
        await lease.release()
        await until(async () => (await inspect(scene.name)).holder === undefined)
      },
    },
  ],
}

const waiters: Recipe = {
  row: '`inspect` tells who waits',
  cases: [
    {
      name: 'and what each says of itself, in their order',
      run: async scene => {
        const [{ locks }, other] = [scene.party(), scene.party().locks]
        const lease = await locks.acquire(scene.name)
        const turns: Promise<Lease>[] = []
        for (const host of ['b', 'c']) {
          turns.push(other.acquire(scene.name, { ...PATIENCE, meta: { host } }))
          await until(async () => (await locks.inspect(scene.name)).waiters.length === turns.length)
        }
        expect((await locks.inspect(scene.name)).waiters.map(({ meta }) => meta)).toEqual([
          { host: 'b' },
          { host: 'c' },
        ])
        await lease.release()
        for (const turn of turns) await (await turn).release()
        await until(async () => (await locks.inspect(scene.name)).waiters.length === 0)
      },
    },
  ],
  absent: {
    name: 'lists nobody',
    run: async scene => {
      const [{ locks }, other] = [scene.party(), scene.party().locks]
      await locks.acquire(scene.name)
      const turn = other.acquire(scene.name, { waitMs: 500 })
      expect((await locks.inspect(scene.name)).waiters).toEqual([])
      await expect(turn).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    },
  },
}

export const SHARED_RECIPES: readonly Recipe[] = [readWrite, downgrade, semaphore, slots, revocation, holders, waiters]
