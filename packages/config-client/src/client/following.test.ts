import type { Live } from '@holdfast/core'
import { InvalidArgumentError } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from '../index.ts'
import { contentHash } from '../release/codec.ts'
import { Stage, checkout, places, scope, search } from './stage.fixture.ts'

let stage: Stage

beforeEach(async () => {
  stage = new Stage()
  await stage.store.publish({ checkout: { timeoutMs: 1 } })
})

afterEach(async () => {
  await stage.end()
})

describe('A configuration that follows its store', () => {
  it('opens with what is published, and applies what is published next', async () => {
    const config = await stage.open()
    expect(config.status()).toMatchObject({ state: 'current', source: 'store', push: 'live', lagMs: 0 })
    const applied: unknown[] = []
    config.events.on('applied', ({ release, previous }) => applied.push([previous?.number, release?.number]))
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(0)
    expect(config.get(checkout)).toEqual({ timeoutMs: 2, retries: 3 })
    expect(config.status()).toMatchObject({ state: 'current', detail: 'Release 2 of the store is in use.' })
    expect(applied).toEqual([[1, 2]])
  })

  it('sees a release within the check interval where nobody is told of it', async () => {
    const config = await stage.open({ reconcileMs: 1_000 })
    stage.link.isDeaf = true
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(1_000)
    expect(config.get(checkout).timeoutMs).toBe(2)
  })

  it('refuses a release that does not parse, whole, and tells where', async () => {
    const config = await stage.open()
    const before = config.current
    await stage.store.publish({ checkout: { timeoutMs: -1 }, search: { pageSize: 7 } })
    const { state, refusal } = await config.refresh()
    expect([state, config.current]).toEqual(['refused', before])
    expect(refusal).toMatchObject({ stage: 'parse', issues: [{ namespace: 'checkout', path: ['timeoutMs'] }] })
    await stage.clock.advance(3_600_000)
    await stage.store.publish({ search: { pageSize: 8 } })
    expect(await config.refresh()).toMatchObject({ state: 'current', refusal: undefined })
    expect(config.get(search).pageSize).toBe(8)
  })

  it('refuses a step that an invariant does not allow', async () => {
    const limits = defineNamespace('limits', {
      schema: z.object({ max: z.number().default(1) }),
      invariants: [(next, previous) => previous === undefined || next.max <= previous.max * 4 || 'more than 4 times'],
    })
    const config = await stage.open({ namespaces: [limits] })
    await stage.store.publish({ limits: { max: 5 } })
    const { refusal } = await config.refresh()
    expect(refusal).toMatchObject({
      stage: 'invariant',
      issues: [{ namespace: 'limits', message: 'more than 4 times' }],
    })
    await stage.store.publish({ limits: { max: 4 } })
    expect((await config.refresh()).state).toBe('current')
  })

  it('reads a large content by its hash, and is behind until that is there', async () => {
    const config = await stage.open()
    const notes = defineNamespace('notes', { schema: z.object({}) })
    const large = { checkout: { timeoutMs: 2 }, [notes.name]: { text: 'x'.repeat(40_000) } }
    stage.world.directories.lose(places.contents)
    const lost = stage.world.directories.backUp(places.contents)
    await stage.store.publish(large)
    const found = stage.world.directories.backUp(places.contents)
    lost()
    await stage.clock.advance(500)
    const { state, detail, refusal, lastError } = config.status()
    expect([state, refusal]).toEqual(['behind', undefined])
    expect(detail).toContain(
      'Release 2 is not applied yet, and is tried again soon: The store does not have the content',
    )
    expect(lastError).toBeInstanceOf(Error)
    found()
    await stage.clock.advance(2_000)
    expect(config.status()).toMatchObject({
      state: 'current',
      release: { number: 2, hash: contentHash({ namespaces: large, options: {} }) },
    })
  })

  it('applies a candidate that selects it, and goes back to the head when it is withdrawn', async () => {
    const canary = await stage.open({ instance: { labels: { ring: 'canary' } } })
    const other = await stage.open()
    await stage.store.offer({ checkout: { timeoutMs: 2 } }, { kind: 'labels', labels: { ring: 'canary' } })
    await stage.clock.advance(0)
    const timeouts = () => [canary, other].map(config => config.get(checkout).timeoutMs)
    expect(timeouts()).toEqual([2, 1])
    await stage.store.withdraw()
    await stage.clock.advance(0)
    expect([timeouts(), canary.status().state]).toEqual([[1, 1], 'current'])
  })

  it('reports what it runs on a moment after it was applied, until it is closed', async () => {
    const config = await stage.open({ instance: { id: 'pod-1', slot: 'a', labels: { zone: 'b' } } })
    const report = async () => {
      const read = await stage.store.backend.records.read({ directory: places.instances, ephemerals: true })
      const record = read.kind === 'present' ? read.ephemerals.get('pod-1') : undefined
      return record && (JSON.parse(new TextDecoder().decode(record.value)) as Record<string, unknown>)
    }
    expect(await report()).toMatchObject({ slot: 'a', labels: { zone: 'b' }, source: 'store', applied: { number: 1 } })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(300)
    expect(await report()).toMatchObject({ applied: { number: 2 } })
    await config.close()
    expect(await report()).toBeUndefined()
  })

  it('leaves nothing when it is closed, and keeps its last values', async () => {
    const config = await stage.open({ snapshotDir: await stage.folder(), maxConcurrentApplies: 2 })
    config.live(checkout).subscribe(() => {})
    await config.close()
    await config.close()
    expect(stage.clock.pendingTimers).toBe(0)
    expect([places.releases, places.instances].flatMap(name => stage.world.directories.leftovers(name))).toEqual([])
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(60_000)
    expect(config.get(checkout).timeoutMs).toBe(1)
    await expect(config.refresh()).rejects.toMatchObject({ code: 'HF_CLOSED' })
  })
})

describe('Listeners', () => {
  it('of one namespace see the others as they are of the same release', async () => {
    const config = await stage.open()
    const [live, other] = [config.live(checkout), config.live(search)]
    const seen: unknown[] = []
    const look = (): void =>
      void seen.push([live.current.timeoutMs, other.current.pageSize, config.get(search).pageSize])
    live.subscribe(look)
    other.subscribe(look)
    await stage.store.publish({ checkout: { timeoutMs: 2 }, search: { pageSize: 20 } })
    await config.refresh()
    expect(seen).toEqual([
      [2, 20, 20],
      [2, 20, 20],
    ])
  })

  it('that throw break nothing', async () => {
    const config = await stage.open()
    const heard: number[] = []
    config.live(checkout).subscribe(() => {
      throw new Error('a listener failed')
    })
    config.events.on('applied', () => {
      throw new Error('another failed')
    })
    config.live(checkout).subscribe(next => heard.push(next.timeoutMs))
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    expect([(await config.refresh()).state, heard]).toEqual(['current', [2]])
  })

  it('are not called for a namespace whose values stay: it keeps the very object', async () => {
    const config = await stage.open()
    const before = config.get(search)
    const heard: unknown[] = []
    config.live(search).subscribe(next => heard.push(next))
    await stage.store.publish({ checkout: { timeoutMs: 2 }, search: { pageSize: 10 } })
    await config.refresh()
    expect([heard, config.get(search)]).toEqual([[], before])
    expect(config.get(search)).toBe(before)
  })

  it('of a projection hear its changes alone', async () => {
    const config = await stage.open()
    const timeout: Live<number> = config.live(checkout, value => value.timeoutMs)
    const heard: unknown[] = []
    timeout.subscribe((next, previous) => heard.push([next, previous]))
    await stage.store.publish({ checkout: { timeoutMs: 1, retries: 9 } })
    await config.refresh()
    await stage.store.publish({ checkout: { timeoutMs: 2, retries: 9 } })
    await config.refresh()
    expect([timeout.current, heard]).toEqual([2, [[2, 1]]])
  })

  it('read a plain property', async () => {
    const config = await stage.open()
    const property = Object.getOwnPropertyDescriptor(config.live(checkout), 'current')
    expect(property).toMatchObject({ value: { timeoutMs: 1, retries: 3 }, writable: true })
  })
})

describe('What is read', () => {
  it('inside run is of one snapshot, however long it takes', async () => {
    const config = await stage.open()
    let go: () => void = () => {}
    const gate = new Promise<void>(resolve => {
      go = resolve
    })
    const pinned = config.run(async () => {
      const first = config.get(checkout).timeoutMs
      await gate
      return [
        first,
        config.get(checkout).timeoutMs,
        config.current.release?.number,
        config.live(checkout).current.timeoutMs,
      ]
    })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    go()
    expect(await pinned).toEqual([1, 1, 1, 2])
    expect(config.get(checkout).timeoutMs).toBe(2)
  })

  it('inside run within run is still of the outer one', async () => {
    const config = await stage.open()
    const seen = await config.run(async () => {
      await stage.store.publish({ checkout: { timeoutMs: 2 } })
      await config.refresh()
      return config.run(() => config.get(checkout).timeoutMs)
    })
    expect(seen).toBe(1)
  })

  it('is frozen', async () => {
    const config = await stage.open()
    expect([config.current, config.get(checkout)].every(Object.isFrozen)).toBe(true)
  })

  it('tells where it comes from', async () => {
    const config = await stage.open({ overrides: [search.override({ pageSize: 99 })] })
    const application = { layer: 'application', release: { number: 1 }, source: 'store' }
    expect(config.origin(checkout, 'timeoutMs')).toMatchObject(application)
    expect(config.origin(checkout, 'retries')).toMatchObject({ layer: 'default', release: undefined })
    expect(config.origin(search, 'pageSize')).toMatchObject({ layer: 'override', release: undefined })
    expect(config.get(search).pageSize).toBe(99)
    await stage.store.publish({ search: { pageSize: 5 } })
    await config.refresh()
    expect(config.get(search).pageSize).toBe(99)
  })

  it('is of the namespaces that it was opened with alone', async () => {
    const config = await stage.open({ namespaces: [checkout] })
    expect(() => config.get(search)).toThrow(InvalidArgumentError)
    expect(() => config.live(search)).toThrow(
      'Expected "search" to be one that the configuration was opened with: "checkout".',
    )
  })

  it('stays as it was started with in static fields: a change waits for a restart, and is told', async () => {
    const server = defineNamespace('server', {
      schema: z.object({ port: z.number().default(80), level: z.string().default('info') }),
      static: ['port'],
    })
    const config = await stage.open({ namespaces: [server], instance: { id: 'pod-1' } })
    const pending: unknown[] = []
    config.events.on('pendingRestart', ({ fields }) => pending.push(fields))
    await stage.store.publish({ server: { port: 81, level: 'debug' } })
    const { pendingRestart } = await config.refresh()
    expect(config.get(server)).toEqual({ port: 80, level: 'debug' })
    expect(pendingRestart).toEqual([{ namespace: 'server', field: 'port' }])
    await stage.store.publish({ server: { port: 81, level: 'warn' } })
    await config.refresh()
    expect(pending).toEqual([[{ namespace: 'server', field: 'port' }]])
    const restarted = await stage.open({ namespaces: [server] })
    expect([restarted.get(server).port, restarted.status().pendingRestart]).toEqual([81, []])
  })
})

describe('At most so many instances', () => {
  it('apply at once', async () => {
    const configs = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(slot =>
        stage.open({ maxConcurrentApplies: 2, instance: { slot }, applyTimeoutMs: 60_000 }),
      ),
    )
    let now = 0
    const seen: number[] = []
    for (const config of configs) {
      config.participate(checkout, {
        name: 'pool',
        prepare: () =>
          new Promise(resolve => {
            seen.push((now += 1))
            stage.clock.setTimer(() => {
              now -= 1
              resolve()
            }, 1_000)
          }),
      })
    }
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(10_000)
    expect(configs.map(config => config.get(checkout).timeoutMs)).toEqual([2, 2, 2, 2, 2])
    expect([seen.length, Math.max(...seen)]).toEqual([5, 2])
  })

  it('apply at once: who loses his turn before the commit point goes back, and tries again', async () => {
    const config = await stage.open({ maxConcurrentApplies: 1, applyTimeoutMs: 60_000 })
    const calls: string[] = []
    const finish: (() => void)[] = []
    config.participate(checkout, {
      name: 'pool',
      prepare: async ({ signal }) => {
        const which = finish.length
        calls.push(`prepare ${which}`)
        signal.addEventListener('abort', () => calls.push(`abort ${which}`))
        await new Promise<void>(resolve => finish.push(resolve))
        return {
          commit: () => void calls.push(`commit ${which}`),
          rollback: () => void calls.push(`rollback ${which}`),
        }
      },
    })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(0)
    const place = 'config-apply:shop:test:0'
    stage.world.release(place, stage.world.inspect(place).holder?.requestId ?? '')
    await stage.clock.advance(11_000)
    expect(config.status()).toMatchObject({ state: 'behind', refusal: undefined, lastError: { code: 'HF_LEASE_LOST' } })
    expect(calls).toEqual(['prepare 0', 'abort 0', 'prepare 1'])
    for (const settle of finish) settle()
    await stage.clock.advance(0)
    expect(calls.slice(3)).toEqual(['rollback 0', 'commit 1'])
    expect([config.get(checkout).timeoutMs, stage.world.resources()]).toEqual([2, []])
  })

  it('apply at once: whose turn comes when there is a newer release applies that one alone', async () => {
    const seen: Record<string, number[]> = {}
    const slots = ['a', 'b']
    for (const slot of slots) {
      const config = await stage.open({ maxConcurrentApplies: 1, instance: { slot } })
      config.participate(checkout, {
        name: slot,
        prepare: ({ next }) => {
          ;(seen[slot] ??= []).push(next.timeoutMs)
          return new Promise(resolve => void stage.clock.setTimer(() => resolve(), 1_000))
        },
      })
    }
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await stage.clock.advance(500)
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    await stage.clock.advance(5_000)
    expect(Object.values(seen).sort((one, other) => one.length - other.length)).toEqual([[3], [2, 3]])
  })

  it('is refused at once where the backend has no leases', async () => {
    const { unsupportedLeases } = await import('@holdfast/core')
    const backend = { ...stage.link.backend, leases: unsupportedLeases('plain') }
    await expect(stage.open({ backend, maxConcurrentApplies: 1 })).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
    await expect(stage.open({ backend, ...scope })).resolves.toBeDefined()
  })
})
