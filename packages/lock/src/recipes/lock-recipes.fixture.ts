import { expect } from 'vitest'
import type { Lease, Locks, WaitOptions } from '../index.ts'
import { lockedFunction } from '../index.ts'
import type { Recipe, RecipeCase } from './recipe.fixture.ts'
import { BRIEF, PATIENCE } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import { Room } from './scene.fixture.ts'

const TAKERS = 6
const TURNS = 2

/** Takers in two processes come and go until each has had its turns. */
export async function crowd(scene: Scene, turn: (locks: Locks, taker: number) => Promise<void>): Promise<void> {
  const parties = [scene.party(), scene.party()] as const
  const takers = Array.from({ length: TAKERS }, async (_, taker) => {
    for (let count = 0; count < TURNS; count += 1) await turn(parties[taker % 2 === 0 ? 0 : 1].locks, taker)
  })
  await Promise.all(takers)
}

/** What is held by one at a time. */
interface Exclusive {
  acquire(options: WaitOptions): Promise<Pick<Lease, 'assertHeld' | 'release'>>
  tryAcquire(): Promise<unknown>
  using(work: () => Promise<void>, options: WaitOptions): Promise<void>
}

/** That it is held by one at a time, is refused in time, and is free again when its holder is cut off. */
export function exclusiveCases(lockOf: (locks: Locks, scene: Scene) => Exclusive): readonly RecipeCase[] {
  return [
    {
      name: 'is held by one at a time',
      run: async scene => {
        const room = new Room()
        await crowd(scene, locks => lockOf(locks, scene).using(() => room.visit(), PATIENCE))
        expect([room.most, room.visits]).toEqual([1, TAKERS * TURNS])
      },
    },
    {
      name: 'is refused at once, in time, and by a signal, to whom another holds it from',
      run: async scene => {
        const [one, other] = [lockOf(scene.party().locks, scene), lockOf(scene.party().locks, scene)]
        const lease = await one.acquire(PATIENCE)
        expect(await other.tryAcquire()).toBeUndefined()
        await expect(other.acquire(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        const reason = new Error('enough')
        const asked = { ...PATIENCE, signal: AbortSignal.abort(reason) }
        await expect(other.acquire(asked)).rejects.toBe(reason)
        const waiting = other.acquire(PATIENCE)
        lease.assertHeld()
        await lease.release()
        await (await waiting).release()
      },
    },
    {
      name: 'is free again when its holder is cut off, who knows it by then',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const lost = await lockOf(dying.locks, scene).acquire(PATIENCE)
        dying.fallSilent()
        const next = await lockOf(scene.party().locks, scene).acquire(PATIENCE)
        expect(() => lost.assertHeld()).toThrow(expect.objectContaining({ code: 'HF_LEASE_LOST' }))
        next.assertHeld()
      },
    },
  ]
}

const mutex: Recipe = {
  row: '`mutex`',
  cases: [
    ...exclusiveCases((locks, { name }) => locks.mutex(name)),
    {
      name: 'has a greater token with each grant',
      run: async scene => {
        const tokens: bigint[] = []
        const note = ({ token }: Lease): void => void tokens.push(token.value)
        await crowd(scene, locks => locks.using(scene.name, note, PATIENCE))
        expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)))
      },
    },
  ],
}

const nesting: Recipe = {
  row: '`within`, `reentrant`',
  cases: [
    {
      name: 'lets a holder in again, with the same token, and nobody else',
      run: async scene => {
        const [{ locks }, other] = [scene.party(), scene.party().locks]
        const reentrant = { reentrant: true } as const
        await locks.using(
          scene.name,
          async outer => {
            await locks.using(scene.name, inner => expect(inner.token.value).toBe(outer.token.value), reentrant)
            const inner = await locks.acquire(scene.name, { within: outer })
            expect(inner.token.value).toBe(outer.token.value)
            await inner.release()
            outer.assertHeld()
            expect(await other.tryAcquire(scene.name)).toBeUndefined()
          },
          reentrant,
        )
      },
    },
    {
      name: 'refuses a lease of another lock',
      run: async scene => {
        const { locks } = scene.party()
        const lease = await locks.acquire(`${scene.name} 2`)
        const nested = locks.acquire(scene.name, { within: lease })
        await expect(nested).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'within' })
      },
    },
  ],
}

const decorated: Recipe = {
  row: '`@locked`, `lockedFunction`',
  cases: [
    {
      name: 'runs one call at a time, whichever process calls',
      run: async scene => {
        const room = new Room()
        const visit = (_name: string): Promise<void> => room.visit()
        await crowd(scene, locks => lockedFunction(locks, 'job:{0}', visit, PATIENCE)(scene.name))
        expect([room.most, room.visits]).toEqual([1, TAKERS * TURNS])
      },
    },
    {
      name: 'rejects a call whose lock is held by another',
      run: async scene => {
        await scene.party().locks.acquire(`job:${scene.name}`)
        const call = lockedFunction(scene.party().locks, 'job:{0}', (name: string) => name, { waitMs: 0 })
        await expect(call(scene.name)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
      },
    },
  ],
}

const namesOf = ({ name }: Scene): readonly string[] => [`${name} 1`, `${name} 2`, `${name} 3`]

const all: Recipe = {
  row: '`all`',
  cases: [
    ...exclusiveCases((locks, scene) => locks.all(namesOf(scene))),
    {
      name: 'is the same in whichever order its names are given, of which some may be others',
      run: async scene => {
        const [one, two, three] = namesOf(scene) as [string, string, string]
        const sets = [
          [one, two, three],
          [three, two],
          [two, one],
        ]
        const room = new Room()
        await crowd(scene, (locks, taker) => locks.all(sets[taker % 3] ?? []).using(() => room.visit(), PATIENCE))
        expect(room.most).toBe(1)
      },
    },
    {
      name: 'gives back what it has when it cannot have them all',
      run: async scene => {
        const [{ locks }, other] = [scene.party(), scene.party().locks]
        const [one, two] = namesOf(scene) as [string, string, string]
        await other.acquire(two)
        expect(await locks.all(namesOf(scene)).tryAcquire()).toBeUndefined()
        const refused = locks.all(namesOf(scene)).acquire(BRIEF)
        await expect(refused).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: two })
        await (await other.acquire(one, PATIENCE)).release()
      },
    },
  ],
}

const lockDelay: Recipe = {
  row: '`lockDelayMs`',
  cases: [
    {
      name: 'keeps others out after a holder that never released, and not after one that did',
      run: async scene => {
        const [{ locks }, other] = [scene.party(), scene.party().locks]
        const delayed = { ttlMs: 300, lockDelayMs: 30_000, renew: false }
        await (await locks.acquire(scene.name, delayed)).release()
        await (await other.acquire(scene.name, PATIENCE)).release()
        const lost = await locks.acquire(scene.name, { ...PATIENCE, ...delayed })
        await new Promise<void>(resolve => lost.signal.addEventListener('abort', () => resolve()))
        expect(await other.tryAcquire(scene.name)).toBeUndefined()
        expect((await other.inspect(scene.name)).holder?.remainingMs).toBeGreaterThan(20_000)
      },
    },
  ],
  refused: scene => [() => scene.party().locks.acquire(scene.name, { lockDelayMs: 5_000 })],
}

const atLeast: Recipe = {
  row: '`lockAtLeastForMs`',
  cases: [
    {
      name: 'keeps others out after a release until its time is over, also when its process ends',
      run: async scene => {
        const [{ locks, backend }, other] = [scene.party(), scene.party().locks]
        expect(await (await locks.acquire(scene.name, { lockAtLeastForMs: 1_000 })).release()).toBe('released')
        expect(await other.tryAcquire(scene.name)).toBeUndefined()
        await (await other.acquire(scene.name, PATIENCE)).release()
        await (await locks.acquire(scene.name, { ...PATIENCE, lockAtLeastForMs: 30_000 })).release()
        await backend.close()
        expect((await other.inspect(scene.name)).holder?.remainingMs).toBeGreaterThan(20_000)
      },
    },
  ],
  refused: scene => [() => scene.party().locks.acquire(scene.name, { lockAtLeastForMs: 5_000 })],
}

export const LOCK_RECIPES: readonly Recipe[] = [mutex, nesting, decorated, all, lockDelay, atLeast]
