import { generateKeyPairSync } from 'node:crypto'
import { memoryBackend } from '@holdfast/core/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config, ConfigSnapshot } from '../index.ts'
import { encodeCandidate } from '../release/codec.ts'
import { CANDIDATE, HEAD, placesOf } from '../release/scope.ts'
import { ScopeFixture } from './scope.fixture.ts'
import { Stage, checkout, places, scope } from './stage.fixture.ts'

let stage: Stage
let config: Config
let before: ConfigSnapshot
let states: string[]

async function opened(options: Parameters<Stage['open']>[0] = {}): Promise<void> {
  config = await stage.open(options)
  before = config.current
  states = []
  config.events.on('state', ({ state, previous }) => states.push(`${previous} > ${state}`))
}

beforeEach(async () => {
  stage = new Stage()
  await stage.store.publish({ checkout: { timeoutMs: 1 } })
})

afterEach(async () => {
  await stage.end()
})

/** A publisher that goes on where a restored store stands. */
const publisher = () => new ScopeFixture(memoryBackend({ world: stage.world }), scope)
const putHead = (text: string) => stage.store.commit([{ kind: 'put', id: HEAD, value: new TextEncoder().encode(text) }])

describe('A service keeps its last snapshot, and status says what happened,', () => {
  it('when the store is empty', async () => {
    await opened()
    stage.world.directories.lose(places.releases)
    await stage.clock.advance(30_000)
    expect(config.status()).toMatchObject({
      state: 'store-missing',
      detail:
        'The store has nothing for this application and environment, where it had release 1. What is in use is kept.',
      release: before.release,
      target: undefined,
    })
    await stage.clock.advance(86_400_000)
    expect([config.current, config.status().state]).toEqual([before, 'store-missing'])
    expect(states).toEqual(['current > store-missing'])
  })

  it('when the head was deleted by hand', async () => {
    await opened()
    await stage.store.commit([{ kind: 'delete', id: HEAD }])
    const { state, detail } = await config.refresh()
    expect([state, config.current]).toEqual(['store-missing', before])
    expect(detail).toBe(
      'The store has no head, though it has other records of this application and environment, where it had release 1. What is in use is kept.',
    )
  })

  it('when the head is not a release', async () => {
    await opened()
    await putHead('{"a')
    const status = await config.refresh()
    expect([status.state, config.current]).toEqual(['refused', before])
    expect(status.detail).toBe(
      'The head in the store cannot be read: A release record is not JSON, or only a part of it: 3 bytes that begin with "{\\"a".',
    )
    expect(status).toMatchObject({ refusal: undefined, lastError: { code: 'HF_UNTRUSTED' } })
    await putHead('')
    expect((await config.refresh()).detail).toContain('A release record is empty.')
  })

  it('when the content of the head was altered: the publisher sees which release was refused', async () => {
    await opened({ instance: { id: 'pod-1' } })
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    const read = await stage.store.backend.records.read({ directory: places.releases, ids: [HEAD] })
    const head = read.kind === 'present' ? read.records.get(HEAD)?.value : undefined
    await config.refresh()
    before = config.current
    await putHead(
      new TextDecoder().decode(head).replace('"timeoutMs":2', '"timeoutMs":9').replace('"number":2', '"number":3'),
    )
    const status = await config.refresh()
    expect([status.state, config.current]).toEqual(['refused', before])
    expect(status.refusal).toMatchObject({ stage: 'verify', release: { number: 3 }, participant: undefined })
    expect(status.detail).toMatch(
      /^The head in the store cannot be read: The content of a release has the hash .* it was altered\.$/,
    )
    await stage.clock.advance(3_600_000)
    await putHead(new TextDecoder().decode(head).replace('"number":2', '"number":3'))
    expect(await config.refresh()).toMatchObject({ state: 'current', refusal: undefined, release: { number: 3 } })
  })

  it("when another application's release was copied here: neither it nor a start follows it, however long it stays", async () => {
    await opened()
    const other = new ScopeFixture(memoryBackend({ world: stage.world }), { app: 'pay', env: 'prod' })
    await other.publish({ checkout: { timeoutMs: 9 } }, 7)
    await other.offer({ checkout: { timeoutMs: 10 } }, { kind: 'percent', percent: 100 })
    const request = { directory: placesOf(other.scope).releases, ids: [HEAD, CANDIDATE] }
    const read = await other.backend.records.read(request)
    const copied = read.kind === 'present' ? [...read.records] : []
    await stage.store.commit(copied.map(([id, { value }]) => ({ kind: 'put' as const, id, value })))
    await config.refresh()
    await stage.clock.advance(86_400_000)
    expect([config.status().state, config.current]).toEqual(['refused', before])
    expect(config.status().detail).toBe(
      'The head in the store cannot be read: The release belongs to pay/prod, and this is shop/test.',
    )
    expect(config.status().refusal).toMatchObject({ stage: 'verify', release: { number: 7 } })
    await expect(stage.openIn(60_000)).rejects.toMatchObject({ code: 'HF_NO_CONFIG' })
  })

  it('when a candidate cannot be read: the head is followed, and it is told', async () => {
    await opened()
    await stage.store.commit([{ kind: 'put', id: CANDIDATE, value: new Uint8Array([1, 2]) }])
    const { state, lastError } = await config.refresh()
    expect([state, config.current]).toEqual(['current', before])
    expect(lastError).toMatchObject({ code: 'HF_UNTRUSTED' })
  })

  it('when a candidate is not above the head: it is none', async () => {
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await opened()
    const old = stage.store.release({ checkout: { timeoutMs: 9 } }, 2)
    const rule = { kind: 'percent' as const, percent: 100 }
    const value = encodeCandidate(scope, { release: old.release, content: old.content, rule, step: 0, steps: [rule] })
    await stage.store.commit([{ kind: 'put', id: CANDIDATE, value }])
    expect(await config.refresh()).toMatchObject({ state: 'current', release: before.release })
  })

  it('when the store was restored from an older backup: until the hold is over, then all follow it', async () => {
    const restore = stage.world.directories.backUp(places.releases)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await opened()
    restore()
    await stage.clock.advance(30_000)
    const { state, detail, release, target } = config.status()
    expect([state, release?.number, target?.number]).toEqual(['regressed', 2, 1])
    expect(detail).toMatch(
      /^The store went back from release 2 to 1: its state 2 became 1, as after a failover or from a backup\. What is in use is kept for another (?:5\d|60) s, unless force\(\) is called\.$/,
    )
    await stage.clock.advance(30_000)
    expect(config.current).toBe(before)
    await stage.clock.advance(30_000)
    expect(config.status()).toMatchObject({ state: 'current', release: { number: 1 } })
    expect(config.get(checkout).timeoutMs).toBe(1)
    expect(states).toEqual(['current > regressed', 'regressed > behind', 'behind > current'])
  })

  it('when it was restored and written to since: the hold is not outrun by its counting', async () => {
    const restore = stage.world.directories.backUp(places.releases)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await opened()
    restore()
    await config.refresh()
    const other = publisher()
    for (const number of [2, 3, 4]) await other.publish({ checkout: { timeoutMs: 10 + number } }, number)
    expect(await config.refresh()).toMatchObject({ state: 'regressed', release: { number: 2 }, target: { number: 4 } })
    await stage.clock.advance(60_000)
    expect(config.get(checkout).timeoutMs).toBe(14)
  })

  it('when the store was made anew', async () => {
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await opened()
    stage.world.directories.lose(places.releases)
    await publisher().publish({ checkout: { timeoutMs: 7 } }, 1)
    const { state, detail } = await config.refresh()
    expect([state, config.current]).toEqual(['regressed', before])
    expect(detail).toContain('from release 2 to 1: it was made anew, and has another history.')
    expect((await config.force()).state).toBe('current')
    expect(config.get(checkout).timeoutMs).toBe(7)
  })

  it('when the store shows again what it had: the hold ends', async () => {
    const older = stage.world.directories.backUp(places.releases)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    const newer = stage.world.directories.backUp(places.releases)
    await opened()
    older()
    expect((await config.refresh()).state).toBe('regressed')
    newer()
    expect((await config.refresh()).state).toBe('current')
    await stage.clock.advance(120_000)
    expect([config.current, config.status().state]).toEqual([before, 'current'])
  })

  it('when the store does not answer', async () => {
    await opened({ staleAfterMs: 40_000 })
    stage.link.isDown = true
    await stage.clock.advance(45_000)
    const { state, detail, isStale, ageMs } = config.status()
    expect([state, config.current, isStale]).toEqual(['unreachable', before, true])
    expect(detail).toBe('The store does not answer: The store is down.')
    expect(ageMs).toBeGreaterThanOrEqual(45_000)
    await expect(config.refresh()).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    stage.link.isDown = false
    await stage.clock.advance(30_000)
    expect(config.status()).toMatchObject({ state: 'current', isStale: false, lastError: undefined })
    expect(states).toEqual(['current > unreachable', 'unreachable > current'])
  })

  it('when its backend was closed', async () => {
    await opened()
    await stage.link.backend.close()
    expect([config.status().state, config.current]).toEqual(['unreachable', before])
    expect(config.status().detail).toBe('The store does not answer: The memory backend is closed.')
  })
})

describe('Where releases are signed', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const trust = { ops: publicKey }

  beforeEach(async () => {
    stage.store.signingKey = { keyId: 'ops', privateKey }
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
  })

  it('one without a signature is refused', async () => {
    await opened({ trust })
    stage.store.signingKey = undefined
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    const { state, refusal } = await config.refresh()
    expect([state, refusal?.stage, refusal?.issues[0]?.message]).toEqual([
      'refused',
      'verify',
      'Release 3 is not signed.',
    ])
    expect(config.current).toBe(before)
  })

  it('an older state of the store is held off until a release with a higher number comes', async () => {
    const restore = stage.world.directories.backUp(places.releases)
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    await opened({ trust })
    restore()
    await stage.clock.advance(86_400_000)
    expect([config.status().state, config.current]).toEqual(['regressed', before])
    expect(config.status().detail).toContain(
      'is kept until a release with a higher number comes, or force() is called.',
    )
    await stage.store.publish({ checkout: { timeoutMs: 4 } }, 4)
    expect(await config.refresh()).toMatchObject({ state: 'current', release: { number: 4 } })
  })

  it('an older state is held off by a start as well, which remembers from its file', async () => {
    const restore = stage.world.directories.backUp(places.releases)
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    const snapshotDir = await stage.folder()
    await (await stage.open({ trust, snapshotDir })).close()
    restore()
    await opened({ trust, snapshotDir })
    await stage.clock.advance(86_400_000)
    expect(config.status()).toMatchObject({ state: 'regressed', source: 'last-known-good', release: { number: 3 } })
    expect((await config.force()).release).toMatchObject({ number: 2 })
  })

  it('an old signed release that is written as the head again is held off', async () => {
    const read = await stage.store.backend.records.read({ directory: places.releases, ids: [HEAD] })
    const old = read.kind === 'present' ? read.records.get(HEAD)?.value : undefined
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    await opened({ trust })
    await stage.store.commit([{ kind: 'put', id: HEAD, value: old ?? new Uint8Array() }])
    const { state, detail } = await config.refresh()
    expect([state, config.current]).toEqual(['regressed', before])
    expect(detail).toContain('from release 3 to 2: an older release was written as the head.')
  })
})
