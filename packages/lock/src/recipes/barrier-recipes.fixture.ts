import { expect } from 'vitest'
import type { DoubleBarrier, Latch, Locks } from '../index.ts'
import type { Recipe } from './recipe.fixture.ts'
import { BRIEF, PATIENCE } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import { until } from './scene.fixture.ts'

const CROWD = 12
const ROUNDS = 2
const STEPS = 10

const barrier: Recipe = {
  row: '`barrier`',
  cases: [
    {
      name: 'stops who comes while it is shut, in time, and lets everybody on once it is opened',
      run: async scene => {
        const [one, other] = [scene.party().locks.barrier(scene.name), scene.party().locks.barrier(scene.name)]
        await other.wait({ waitMs: 0 })
        await one.shut()
        expect(await other.isShut()).toBe(true)
        for (const wait of [{ waitMs: 0 }, BRIEF]) {
          await expect(other.wait(wait)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        }
        const waiting = [one, other].map(gate => gate.wait(PATIENCE))
        await other.open()
        await Promise.all(waiting)
        expect(await one.isShut()).toBe(false)
      },
    },
    {
      name: 'stays shut when who shut it is cut off, and tells one who was cut off that it was opened',
      cutsLinks: true,
      run: async scene => {
        const [cutOff, { locks }] = [await scene.fragile(), scene.party()]
        await cutOff.locks.barrier(scene.name).shut()
        const waiting = cutOff.locks.barrier(scene.name).wait(PATIENCE)
        expect(await locks.barrier(scene.name).isShut()).toBe(true)
        await expect(locks.barrier(scene.name).wait(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        cutOff.fallSilent()
        await expect(cutOff.locks.barrier(scene.name).wait(BRIEF)).rejects.toMatchObject({
          code: 'HF_UNAVAILABLE',
        })
        await locks.barrier(scene.name).open()
        cutOff.comeBack()
        await waiting
      },
    },
  ],
  refused: scene => {
    const gateOf = (): ReturnType<Locks['barrier']> => scene.party().locks.barrier(scene.name)
    return [() => gateOf().shut(), () => gateOf().open(), () => gateOf().isShut(), () => gateOf().wait()]
  },
}

function both(scene: Scene): readonly [DoubleBarrier, DoubleBarrier] {
  const made = (): DoubleBarrier => scene.party().locks.doubleBarrier(scene.name, { parties: 2, ...scene.ttl })
  return [made(), made()]
}

const doubleBarrier: Recipe = {
  row: '`doubleBarrier`',
  cases: [
    {
      name: 'lets all parties in together and out together, again and again',
      run: async scene => {
        const processes = [scene.party(), scene.party()] as const
        const parties = Array.from({ length: CROWD }, (_, index) =>
          processes[index % 2 === 0 ? 0 : 1].locks.doubleBarrier(scene.name, { parties: CROWD, ...scene.ttl }),
        )
        let [came, went] = [0, 0]
        const goThrough = async (party: DoubleBarrier): Promise<readonly [number, number]> => {
          came += 1
          await party.enter(PATIENCE)
          const cameBefore = came
          went += 1
          await party.leave(PATIENCE)
          return [cameBefore, went]
        }
        for (let round = 1; round <= ROUNDS; round += 1) {
          const seen = await Promise.all(parties.map(goThrough))
          expect(seen).toEqual(Array.from({ length: CROWD }, () => [CROWD * round, CROWD * round]))
        }
      },
    },
    {
      name: 'is refused in time while others are missing, and while others are still in',
      run: async scene => {
        const [one, other] = both(scene)
        for (const wait of [{ waitMs: 0 }, BRIEF]) {
          await expect(one.enter(wait)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        }
        await Promise.all([one.enter(PATIENCE), other.enter(PATIENCE)])
        await expect(one.leave(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        await other.leave(PATIENCE)
      },
    },
    {
      name: 'no longer counts a party that is cut off, when others enter and when they leave',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const [one] = both(scene)
        const lost = dying.locks.doubleBarrier(scene.name, { parties: 2, ...scene.ttl })
        await Promise.all([one.enter(PATIENCE), lost.enter(PATIENCE)])
        dying.fallSilent()
        await one.leave(PATIENCE)
        await expect(one.enter(BRIEF)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        await expect(lost.leave(BRIEF)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
      },
    },
  ],
  refused: scene => [() => both(scene)[0].enter(), () => both(scene)[0].enter({ waitMs: 0 })],
}

const latch: Recipe = {
  row: '`latch`',
  cases: [
    {
      name: 'counts steps that are made at the same moment, each id once, and lets everybody on',
      run: async scene => {
        const latches = [latchOf(scene), latchOf(scene)] as const
        const waiting = Promise.all(latches.map(each => each.wait(PATIENCE)))
        const steps = Array.from({ length: 2 * STEPS }, (_, index) =>
          latches[index % 2 === 0 ? 0 : 1].countDown({ id: `job-${Math.floor(index / 2)}` }),
        )
        const remaining = await Promise.all(steps)
        await waiting
        expect(remaining).toContain(0)
        const info = await latches[0].inspect()
        expect([info.remaining, new Set(info.counted).size]).toEqual([0, STEPS])
      },
    },
    {
      name: 'stops who waits, in time, until its last step, and refuses another count',
      run: async scene => {
        const [one, other] = [latchOf(scene), latchOf(scene)]
        for (let step = 1; step < STEPS; step += 1) expect(await one.countDown()).toBe(STEPS - step)
        for (const wait of [{ waitMs: 0 }, BRIEF]) {
          await expect(other.wait(wait)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        }
        const different = scene.party().locks.latch(scene.name, { count: 2 })
        await expect(different.countDown()).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'count' })
        expect(await one.countDown()).toBe(0)
        await other.wait(PATIENCE)
        await one.reset()
        await expect(other.wait({ waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
      },
    },
    {
      name: 'keeps the steps of who is cut off, and tells one who was cut off that it is at zero',
      cutsLinks: true,
      run: async scene => {
        const [cutOff, one] = [await scene.fragile(), latchOf(scene)]
        const own = cutOff.locks.latch(scene.name, { count: STEPS })
        for (let step = 1; step < STEPS; step += 1) await own.countDown()
        const waiting = own.wait(PATIENCE)
        await until(async () => (await one.inspect()).remaining === 1)
        cutOff.fallSilent()
        await expect(own.wait(BRIEF)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
        expect(await one.countDown()).toBe(0)
        cutOff.comeBack()
        await waiting
      },
    },
  ],
  refused: scene => [
    () => latchOf(scene).countDown(),
    () => latchOf(scene).wait(),
    () => latchOf(scene).inspect(),
    () => latchOf(scene).reset(),
  ],
}

function latchOf(scene: Scene): Latch {
  return scene.party().locks.latch(scene.name, { count: STEPS })
}

export const BARRIER_RECIPES: readonly Recipe[] = [barrier, doubleBarrier, latch]
