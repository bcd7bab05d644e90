import { expect } from 'vitest'
import type { Election, ElectionOptions } from '../index.ts'
import { leaseHandle } from '../index.ts'
import type { Recipe } from './recipe.fixture.ts'
import { BRIEF, PATIENCE } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import { until } from './scene.fixture.ts'

function candidate(scene: Scene, options?: ElectionOptions): Election {
  return scene.party().locks.election(scene.name, options)
}

const election: Recipe = {
  row: '`election`: `campaign`, `resign`, `run`',
  cases: [
    {
      name: 'hands the leadership from one to the next, with a greater token each time',
      run: async scene => {
        const [a, b] = [candidate(scene), candidate(scene)]
        const tokens = [(await a.campaign()).token.value]
        for (const [from, to] of [
          [a, b],
          [b, a],
          [a, b],
        ] as const) {
          const next = to.campaign(PATIENCE)
          expect([from.isLeader, to.isLeader]).toEqual([true, false])
          await from.resign()
          tokens.push((await next).token.value)
        }
        expect(tokens.every((token, at) => at === 0 || token > (tokens[at - 1] ?? 0n))).toBe(true)
        expect((await b.campaign()).token.value).toBe(tokens[3])
      },
    },
    {
      name: 'is refused in time to who campaigns while another leads, and to who is closed',
      run: async scene => {
        const [a, b] = [candidate(scene), candidate(scene)]
        await a.campaign()
        for (const wait of [{ waitMs: 0 }, BRIEF]) {
          await expect(b.campaign(wait)).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
        }
        const waiting = b.campaign()
        await b.close()
        await expect(waiting).rejects.toMatchObject({ code: 'HF_CLOSED' })
      },
    },
    {
      name: 'runs work while it leads, again when it has resigned, and gives the leadership back after it',
      run: async scene => {
        const [a, b] = [candidate(scene), candidate(scene)]
        let terms = 0
        const work = async (_lease: unknown, signal: AbortSignal): Promise<string> => {
          terms += 1
          if (terms === 2) return 'done'
          await a.resign()
          signal.throwIfAborted()
          return 'it never heard of it'
        }
        expect([await a.run(work, PATIENCE), terms, a.isLeader]).toEqual(['done', 2, false])
        await b.campaign(PATIENCE)
      },
    },
    {
      name: 'has another leader when the one it had is cut off, who knows it by then',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const a = dying.locks.election(scene.name)
        const b = candidate(scene)
        const { token } = await a.campaign()
        const waiting = b.campaign(PATIENCE)
        dying.fallSilent()
        const lease = await waiting
        expect([a.isLeader, b.isLeader]).toEqual([false, true])
        expect(lease.token.value).toBeGreaterThan(token.value)
      },
    },
  ],
}

const observers: Recipe = {
  row: '`leader`, `observe`, `findLeader`, `proclaim`',
  cases: [
    {
      name: 'tell everybody who leads, what it proclaims, and when nobody does',
      run: async scene => {
        const [a, b, observer] = [
          candidate(scene, { id: 'a', value: 'A' }),
          candidate(scene, { id: 'b' }),
          candidate(scene),
        ]
        const seen: (string | undefined)[] = []
        const ended = (async () => {
          for await (const leader of observer.observe()) seen.push(leader?.value)
        })()
        await until(() => seen.length === 1)
        const lease = await a.campaign()
        await until(() => observer.leader.current?.value === 'A')
        expect((await b.findLeader())?.token.value).toBe(lease.token.value)
        a.proclaim('AA')
        await until(() => seen.includes('AA'))
        await a.resign()
        await b.campaign({ ...PATIENCE, value: 'B' })
        await until(() => observer.leader.current?.id === 'b')
        await b.resign()
        await until(() => observer.leader.current === undefined)
        expect(await observer.findLeader()).toBeUndefined()
        await until(() => seen.length > 1 && seen.at(-1) === undefined)
        await observer.close()
        await ended
        expect([seen[0], seen.indexOf('AA') > seen.indexOf('A')]).toEqual([undefined, true])
      },
    },
    {
      name: 'tell one whose link was cut while the leader changed',
      cutsLinks: true,
      run: async scene => {
        const cutOff = await scene.fragile()
        const observer = cutOff.locks.election(scene.name)
        const [a, b] = [candidate(scene, { id: 'a' }), candidate(scene, { id: 'b' })]
        await a.campaign()
        await until(() => observer.leader.current?.id === 'a')
        cutOff.fallSilent()
        await a.resign()
        await b.campaign(PATIENCE)
        expect(observer.leader.current?.id).toBe('a')
        cutOff.comeBack()
        await until(() => observer.leader.current?.id === 'b')
      },
    },
    {
      name: 'tell no more of a leader that was cut off',
      cutsLinks: true,
      run: async scene => {
        const dying = await scene.fragile()
        const observer = candidate(scene)
        await dying.locks.election(scene.name, { id: 'a' }).campaign()
        await until(() => observer.leader.current?.id === 'a')
        dying.fallSilent()
        await until(() => observer.leader.current === undefined)
      },
    },
  ],
  refused: scene => [
    () => candidate(scene).leader,
    () => candidate(scene).findLeader(),
    () => candidate(scene).observe()[Symbol.asyncIterator]().next(),
  ],
}

const resume: Recipe = {
  row: '`campaign({ resume })`',
  cases: [
    {
      name: 'leads on with the same token after its process was cut off, and campaigns when its term is over',
      cutsLinks: true,
      run: async scene => {
        const before = await scene.fragile()
        const lease = await before.locks.election(scene.name).campaign({ ttlMs: 15_000 })
        const { token } = lease
        before.fallSilent()
        const after = candidate(scene)
        const handle = leaseHandle(lease)
        expect((await after.campaign({ resume: handle, waitMs: 0 })).token.value).toBe(token.value)
        await after.resign()
        const later = await candidate(scene).campaign({ ...PATIENCE, resume: handle })
        expect(later.token.value).toBeGreaterThan(token.value)
      },
    },
  ],
  absent: {
    name: 'campaigns behind the term of before, and leads with a greater token',
    run: async scene => {
      const [before, after] = [candidate(scene), candidate(scene)]
      const lease = await before.campaign()
      const [resume, { token }] = [leaseHandle(lease), lease]
      await expect(after.campaign({ resume, waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
      await before.resign()
      expect((await after.campaign({ ...PATIENCE, resume })).token.value).toBeGreaterThan(token.value)
    },
  },
  refused: scene => [
    async () => {
      const handle = leaseHandle(await candidate(scene).campaign())
      return await candidate(scene).campaign({ resume: handle })
    },
  ],
}

export const ELECTION_RECIPES: readonly Recipe[] = [election, observers, resume]
