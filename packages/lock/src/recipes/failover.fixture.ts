import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Election } from '../index.ts'
import type { RecipeCase } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import { until } from './scene.fixture.ts'

const PARTIES = 3
const LOOK_MS = 2
const LONG = { waitMs: 20_000 } as const

/** Looks again and again at how many lead at a time, by what they know themselves. */
class Watchman {
  readonly #timer: NodeJS.Timeout
  most = 0

  constructor(candidates: readonly Election[]) {
    this.#timer = setInterval(() => {
      this.most = Math.max(this.most, candidates.filter(({ isLeader }) => isLeader).length)
    }, LOOK_MS)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** A name for which the server that is killed keeps all of this. */
async function nameAtStake({ servers: { failover } }: Scene, keys: readonly string[]): Promise<string> {
  for (;;) {
    const name = randomUUID()
    const kept = keys.map(key => failover?.concerns(`${key}${name}`))
    if ((await Promise.all(kept)).every(Boolean)) return name
  }
}

const control: RecipeCase = {
  name: '(control) two who lead elections of different names are seen',
  run: async scene => {
    const candidates = ['1', '2'].map(at => scene.party().locks.election(`${scene.name} ${at}`))
    using watchman = new Watchman(candidates)
    for (const candidate of candidates) await candidate.campaign()
    await until(() => watchman.most === 2)
  },
}

const inUse: RecipeCase = {
  name: 'one leads at most and the next in the end, and who is at a double barrier goes through or hears why not',
  run: async scene => {
    const name = await nameAtStake(scene, ['', 'election:'])
    const barrier = await nameAtStake(scene, ['double-barrier:'])
    const candidates = ['a', 'b', 'c'].map(id => scene.party().locks.election(name, { id }))
    const [first, second, third] = candidates as [Election, Election, Election]
    const observer = scene.party().locks.election(name)
    const parties = Array.from({ length: PARTIES }, () =>
      scene.party().locks.doubleBarrier(barrier, { parties: PARTIES, ttlMs: 15_000 }),
    )
    using watchman = new Watchman(candidates)
    const lease = await first.campaign({ ttlMs: 15_000 })
    await until(() => observer.leader.current?.id === 'a')
    const turns = [second.campaign(LONG), third.campaign(LONG)]
    for (const turn of turns) turn.catch(() => {})
    const came = parties.slice(1).map(party => party.enter(LONG))
    await scene.servers.failover?.kill()

    const entered = await Promise.allSettled([...came, parties[0]?.enter(LONG)])
    expect(entered.filter(({ status }) => status === 'rejected')).toEqual([])
    const left = await Promise.allSettled(parties.map(party => party.leave(LONG)))
    expect(left.filter(({ status }) => status === 'rejected')).toEqual([])

    await first.resign()
    const next = await Promise.race(turns)
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    await until(() => observer.leader.current?.token.value === next.token.value)
    for (const candidate of [second, third, second]) await candidate.resign()
    expect((await Promise.all(turns)).every(({ token }) => token.value >= next.token.value)).toBe(true)
    expect(watchman.most).toBe(1)
  },
}

export const FAILOVER_CASES: readonly RecipeCase[] = [control, inUse]
