import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Election } from '../index.ts'
import type { RecipeCase } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import { until } from './scene.fixture.ts'

const PARTIES = 3
const LOOK_MS = 2
const LONG = { waitMs: 120_000 } as const

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
  // Of names of one length the slot of one key would decide those of the others: a CRC is linear.
  for (let length = 0; ; length = (length + 1) % 32) {
    const name = randomUUID() + '-'.repeat(length)
    const kept = keys.map(async key => await failover?.concerns(`${key}${name}`))
    if ((await Promise.all(kept)).every(isKept => isKept === true)) return name
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
  name: 'When the server is killed that leads, one is elected at most and the next in the end, and all pass a double barrier',
  run: async scene => {
    const name = await nameAtStake(scene, ['', 'election:'])
    const barrier = await nameAtStake(scene, ['double-barrier:'])
    const candidates = ['a', 'b', 'c'].map(id => scene.party().locks.election(name, { id }))
    const [first, second, third] = candidates as [Election, Election, Election]
    const observer = scene.party().locks.election(name)
    const parties = Array.from({ length: PARTIES }, () =>
      scene.party().locks.doubleBarrier(barrier, { parties: PARTIES, ttlMs: 60_000 }),
    )
    using watchman = new Watchman(candidates)
    const { token } = await first.campaign({ ttlMs: 60_000 })
    await until(() => observer.leader.current?.id === 'a')
    const turns = [second, third].map(candidate => untilAnswered(() => candidate.campaign(LONG)))
    const came = parties.slice(1).map(party => untilAnswered(() => party.enter(LONG)))
    await scene.servers.failover?.kill()

    await Promise.all([...came, untilAnswered(async () => await parties[0]?.enter(LONG))])
    // Who hears nothing is out all the same.
    const left = await Promise.allSettled(parties.map(party => party.leave(LONG)))
    const reasons = left.flatMap(one => (one.status === 'rejected' ? [one.reason as unknown] : []))
    for (const reason of reasons) expect(reason).toMatchObject({ code: 'HF_UNAVAILABLE' })

    await first.resign()
    const next = await Promise.race(turns)
    expect(next.token.value).toBeGreaterThan(token.value)
    const { value } = next.token
    await until(() => (observer.leader.current?.token.value ?? 0n) >= value)
    const last = turns.map(async turn => await (await turn).release())
    await Promise.all(last)
    expect(watchman.most).toBe(1)
  },
}

/** Asks again while the store does not answer in time: for a while nobody leads. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'HF_UNAVAILABLE') throw error
    }
  }
}

export const FAILOVER_CASES: readonly RecipeCase[] = [control, inUse]
