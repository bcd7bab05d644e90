import { channel } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config, ConfigSnapshot, InstanceReport, Participant, Prepared, Refusal, Transaction } from '../index.ts'
import { decodeReport } from '../release/codec.ts'
import { Stage, checkout, places, search } from './stage.fixture.ts'

let stage: Stage
let config: Config
let calls: string[]
let before: ConfigSnapshot

beforeEach(async () => {
  stage = new Stage()
  calls = []
  await stage.store.publish({ checkout: { timeoutMs: 1 } })
  config = await stage.open({ instance: { id: 'pod-1' } })
  before = config.current
})

afterEach(async () => {
  await stage.end()
})

type Value = Transaction<{ readonly timeoutMs: number }>

/** A participant that notes its calls, and does whatever `acts` says instead of going well. */
function noting(
  name: string,
  acts: Partial<Record<'prepare' | 'commit' | 'rollback', () => void | Promise<void>>> = {},
) {
  const call = (step: 'prepare' | 'commit' | 'rollback') => async (): Promise<void> => {
    calls.push(`${step} ${name}`)
    await acts[step]?.()
  }
  const participant: Participant<Value['next']> = {
    name,
    prepare: async (): Promise<Prepared> => {
      await call('prepare')()
      return { commit: call('commit'), rollback: call('rollback') }
    },
  }
  return config.participate(checkout, participant)
}

async function report(): Promise<InstanceReport | undefined> {
  await stage.clock.advance(300)
  const read = await stage.store.backend.records.read({ directory: places.instances, ephemerals: true })
  const record = read.kind === 'present' ? read.ephemerals.get('pod-1') : undefined
  return record && decodeReport(record.value)
}

async function reported(): Promise<Refusal | undefined> {
  return (await report())?.refusal
}

const fail = (words: string) => () => {
  throw new Error(words)
}
const hang = () => new Promise<void>(() => {})

describe('An apply with participants', () => {
  it('prepares all in the order of registration, swaps, and commits all in that order', async () => {
    noting('a', { commit: () => void calls.push(`now ${config.live(checkout).current.timeoutMs}`) })
    noting('b')
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    expect(calls).toEqual(['prepare a', 'prepare b', 'commit a', 'now 2', 'commit b'])
  })

  it('is undone when somebody throws what cannot be made a text of, at whichever step', async () => {
    const odd = (): never => {
      throw Object.create(null)
    }
    noting('a')
    const participant = noting('b', { prepare: odd })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    expect((await config.refresh()).state).toBe('refused')
    expect(calls).toEqual(['prepare a', 'prepare b', 'rollback a'])
    participant.close()
    noting('c', { commit: odd })
    calls = []
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    expect((await config.refresh()).state).toBe('refused')
    expect(calls).toEqual(['prepare a', 'prepare c', 'commit a', 'commit c', 'rollback c', 'rollback a'])
    expect(config.current).toBe(before)
  })

  it('is turned back when the third prepare rejects: the old snapshot stays, and what was prepared is undone in reverse', async () => {
    noting('a')
    noting('b')
    noting('c', { prepare: fail('no room') })
    noting('d')
    const { hash } = await stage.store.publish({ checkout: { timeoutMs: 2 } })
    const status = await config.refresh()
    expect(config.current).toBe(before)
    expect(config.live(checkout).current).toBe(before.get(checkout))
    expect(calls).toEqual(['prepare a', 'prepare b', 'prepare c', 'rollback b', 'rollback a'])
    const refusal: Refusal = {
      release: { number: 2, hash },
      stage: 'prepare',
      participant: 'c',
      issues: [{ namespace: 'checkout', path: [], message: 'prepare of "c": no room' }],
    }
    expect(status).toMatchObject({ state: 'refused', refusal, release: before.release })
    expect(await reported()).toEqual(refusal)
  })

  it('is turned back when the second commit throws: the old snapshot is back, and all is undone in reverse', async () => {
    noting('a')
    noting('b', { commit: fail('refused at the door') })
    noting('c')
    const heard: unknown[] = []
    config.live(checkout).subscribe(next => heard.push(next))
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    expect(config.current).toBe(before)
    expect(config.live(checkout).current).toBe(before.get(checkout))
    expect(calls.slice(3)).toEqual(['commit a', 'commit b', 'rollback c', 'rollback b', 'rollback a'])
    expect(heard).toEqual([])
    expect(await reported()).toMatchObject({ stage: 'commit', participant: 'b' })
  })

  it('is reported as applied only when all have committed (seen: a slow commit that failed was settled before)', async () => {
    let fails = (): void => {}
    noting('slow', { commit: () => new Promise((_, reject) => (fails = () => reject(new Error('no')))) })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(100)
    expect(config.get(checkout).timeoutMs).toBe(2)
    expect(config.status()).toMatchObject({ state: 'behind', release: { number: 1 }, target: { number: 2 } })
    expect((await report())?.applied?.number).toBe(1)
    fails()
    await stage.clock.advance(100)
    expect(await report()).toMatchObject({ applied: { number: 1 }, refusal: { stage: 'commit' } })
  })

  it('is turned back when a prepare hangs: its signal aborts, and what it prepares after all is undone', async () => {
    noting('a')
    let signal: AbortSignal | undefined
    let finish: (prepared: Prepared) => void = () => {}
    config.participate(checkout, {
      name: 'slow',
      prepare: transaction => {
        signal = transaction.signal
        return new Promise(resolve => {
          finish = resolve
        })
      },
    })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    const refreshed = config.refresh()
    await stage.clock.advance(9_999)
    expect([calls, signal?.aborted]).toEqual([['prepare a'], false])
    await stage.clock.advance(1)
    expect(await refreshed).toMatchObject({ state: 'refused', refusal: { participant: 'slow', stage: 'prepare' } })
    expect([config.current, signal?.aborted]).toEqual([before, true])
    expect(calls).toEqual(['prepare a', 'rollback a'])
    expect((await reported())?.issues[0]?.message).toBe('prepare of "slow": did not settle within 10000 ms')
    finish({ rollback: () => void calls.push('rollback slow') })
    await stage.clock.advance(0)
    expect(calls).toEqual(['prepare a', 'rollback a', 'rollback slow'])
  })

  it('is turned back when a commit hangs, also where undoing hangs or fails', async () => {
    const failures: unknown[] = []
    const hear = (message: unknown): void => {
      if ((message as { event: string }).event === 'rollbackFailed') failures.push(message)
    }
    channel('holdfast:config.event').subscribe(hear)
    noting('a', { rollback: fail('cannot') })
    noting('b', { commit: hang, rollback: hang })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    const refreshed = config.refresh()
    await stage.clock.advance(20_000)
    expect(await refreshed).toMatchObject({ state: 'refused', refusal: { participant: 'b', stage: 'commit' } })
    expect(config.current).toBe(before)
    expect(calls.slice(2)).toEqual(['commit a', 'commit b', 'rollback b', 'rollback a'])
    expect(failures).toMatchObject([
      { participant: 'b', app: 'shop' },
      { participant: 'a', error: { message: 'cannot' } },
    ])
    channel('holdfast:config.event').unsubscribe(hear)
  })

  it('asks only those whose namespace changes', async () => {
    noting('a')
    await stage.store.publish({ checkout: { timeoutMs: 1 }, search: { pageSize: 5 } })
    await config.refresh()
    expect([calls, config.get(search).pageSize]).toEqual([[], 5])
    expect(config.get(checkout)).toBe(before.get(checkout))
  })

  it('asks nobody who has left', async () => {
    noting('a').close()
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    expect([calls, config.get(checkout).timeoutMs]).toEqual([[], 2])
  })

  it('asks nobody who leaves while it is under way', async () => {
    config.participate(checkout, { name: 'a', prepare: () => leaving.close() })
    const leaving = noting('b')
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    expect([calls, config.get(checkout).timeoutMs]).toEqual([[], 2])
  })

  it('is turned back when the configuration is closed before its commit point', async () => {
    noting('a')
    noting('b', { prepare: hang })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(10)
    await config.close()
    expect([calls, config.current]).toEqual([['prepare a', 'prepare b', 'rollback a'], before])
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('tells a participant what is, what comes, and of which release', async () => {
    const seen: unknown[] = []
    config.participate(checkout, {
      name: 'a',
      prepare: ({ next, previous, release }) => void seen.push([next, previous, release]),
    })
    const { number, hash } = await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    expect(seen).toEqual([
      [
        { timeoutMs: 2, retries: 3 },
        { timeoutMs: 1, retries: 3 },
        { number, hash },
      ],
    ])
  })

  it('is the only one, also where a listener asks for another', async () => {
    config.events.on('state', () => void config.refresh())
    config.live(checkout).subscribe(() => void config.refresh())
    noting('a')
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(10)
    expect([calls, config.status().state]).toEqual([['prepare a', 'commit a'], 'current'])
  })

  it('holds the process while somebody awaits it, and not by itself', async () => {
    noting('a', { prepare: hang })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(10)
    expect(stage.clock.holdingTimers).toBe(0)
    const refreshed = config.refresh()
    expect(stage.clock.holdingTimers).toBe(1)
    await stage.clock.advance(10_000)
    await refreshed
    expect(stage.clock.holdingTimers).toBe(0)
  })

  it('leads to one more, with the newest, when others come meanwhile', async () => {
    const seen: number[] = []
    let go: () => void = () => {}
    config.participate(checkout, {
      name: 'a',
      prepare: ({ next }) => {
        seen.push(next.timeoutMs)
        return new Promise(resolve => {
          go = () => resolve()
        })
      },
    })
    for (const timeoutMs of [2, 3, 4]) {
      await stage.store.publish({ checkout: { timeoutMs } })
      await stage.clock.advance(0)
    }
    expect([seen, config.status().state]).toEqual([[2], 'behind'])
    go()
    await stage.clock.advance(0)
    go()
    await config.refresh()
    expect([seen, config.get(checkout).timeoutMs]).toEqual([[2, 4], 4])
  })
})

describe('A release that a participant refused', () => {
  it('is tried again after 30 s, 2 min and 10 min, and then no more', async () => {
    noting('a', { prepare: fail('no') })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    const counts: number[] = []
    for (const ms of [29_999, 1, 119_999, 1, 599_999, 1, 3_600_000]) {
      await stage.clock.advance(ms)
      counts.push(calls.length)
    }
    expect(counts).toEqual([1, 2, 2, 3, 3, 4, 4])
    expect(config.status().detail).toContain('It is not tried again before another comes, or force() is called.')
  })

  it('is applied when a later try goes well, and its refusal is taken back', async () => {
    let isReady = false
    noting('a', { prepare: () => (isReady ? undefined : fail('not yet')()) })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    expect((await config.refresh()).detail).toBe(
      'Release 2 was refused by "a" (prepare): checkout: prepare of "a": not yet. It is tried again in 30 s.',
    )
    isReady = true
    await stage.clock.advance(30_000)
    expect(config.status()).toMatchObject({ state: 'current', refusal: undefined, release: { number: 2 } })
    expect(await reported()).toBeUndefined()
  })

  it('is tried at once by force', async () => {
    let isReady = false
    noting('a', { prepare: () => (isReady ? undefined : fail('not yet')()) })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    isReady = true
    expect((await config.force()).state).toBe('current')
  })

  it('makes way for the next', async () => {
    let isReady = false
    noting('a', { prepare: () => (isReady ? undefined : fail('not yet')()) })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    isReady = true
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    expect(await config.refresh()).toMatchObject({ state: 'current', release: { number: 3 }, refusal: undefined })
  })
})

it('A participant without a name is refused', () => {
  const act = () => config.participate(checkout, {} as unknown as Participant<never>)
  expect(act).toThrow('Expected the participant to have a `name` and a `prepare` method, got an object.')
})
