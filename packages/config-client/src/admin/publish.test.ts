import { UnknownOutcomeError } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, expect, test } from 'vitest'
import type { ConfigAdmin } from './admin.ts'
import { FleetFixture, checkout } from './fleet.fixture.ts'
import { StoreSpy } from './store-spy.fixture.ts'

let spy: StoreSpy
let fleet: FleetFixture
let admin: ConfigAdmin

beforeEach(() => {
  spy = new StoreSpy(memoryBackend({ clock: new SimulatedClock() }))
  fleet = new FleetFixture(spy.backend)
  admin = fleet.admin()
})

const timeout = (timeoutMs: number) => [checkout.patch({ timeoutMs })]

test('The first publish is release 1, and the next one names it as its parent.', async () => {
  expect(await admin.state()).toMatchObject({ kind: 'missing', head: undefined, candidate: undefined })
  const first = await admin.publish(timeout(800), { message: 'slow bank' })
  const second = await admin.publish([checkout.patch({ retries: 3 })], { author: 'bob' })
  const { number, hash } = first.release
  expect(first).toMatchObject({ isNew: true, committedAtMs: Date.UTC(2030, 0, 1) })
  expect(first.release).toMatchObject({ number: 1, author: 'ann', message: 'slow bank', parent: undefined })
  expect(second.release).toMatchObject({ number: 2, author: 'bob', parent: { number, hash }, kind: 'publish' })
  expect(await admin.state()).toMatchObject({
    kind: 'present',
    head: { release: { number: 2 }, content: { namespaces: { checkout: { timeoutMs: 800, retries: 3 } } } },
  })
})

test('A publish by the only publisher costs one round trip after the first.', async () => {
  await admin.publish(timeout(800))
  expect([spy.reads.length, spy.commits.length]).toEqual([1, 1])
  spy.reset()
  await admin.publish(timeout(900), { requestId: 'mine', expectedRevision: 1 })
  await admin.publish(timeout(950))
  expect([spy.reads.length, spy.commits.length]).toEqual([0, 2])
})

test('Edits that change nothing publish nothing, also when another has published since.', async () => {
  const { release } = await admin.publish(timeout(800))
  spy.reset()
  expect(await admin.publish(timeout(800))).toMatchObject({ isNew: false, release })
  expect(spy.commits).toEqual([])
  await fleet.admin().publish(timeout(900))
  expect(await admin.publish(timeout(800))).toMatchObject({ isNew: true, release: { number: 3 } })
})

test('A publish from an older release is refused, and the conflict names the winner.', async () => {
  await admin.publish(timeout(800))
  await fleet.admin({ author: 'bob' }).publish(timeout(900), { message: 'faster' })
  spy.reset()
  await expect(admin.publish(timeout(700), { expectedRevision: 1 })).rejects.toMatchObject({
    code: 'HF_CONFLICT',
    expected: 'release 1',
    actual: 'release 2',
    message:
      'Expected the head of shop:prod to be release 1, and it is release 2, by bob: "faster". Nothing was written.',
  })
  await expect(fleet.admin().publish(timeout(700), { expectedRevision: 0 })).rejects.toThrow('to be without a release')
  expect((await admin.release(-1)).release.number).toBe(2)
})

test('Without an expected release the edits go on top of what another has published.', async () => {
  await admin.publish(timeout(800))
  await fleet.admin().publish([checkout.patch({ retries: 5 })])
  await admin.publish(timeout(900))
  const { content } = await admin.release(-1)
  expect(content.namespaces).toEqual({ checkout: { timeoutMs: 900, retries: 5 } })
})

test('The same request is published once, whoever repeats it, and whatever came after it.', async () => {
  const first = await admin.publish(timeout(800), { requestId: 'job-7' })
  await admin.publish(timeout(900))
  const again = await fleet.admin().publish(timeout(800), { requestId: 'job-7', expectedRevision: 0 })
  expect(again).toMatchObject({ isNew: false, release: first.release })
  expect((await admin.release(-1)).release.number).toBe(2)
})

test('A request id that stands for something else is refused in a sentence.', async () => {
  await admin.publish(timeout(800), { requestId: 'job-7' })
  await admin.publish(timeout(900))
  const problem = {
    code: 'HF_INVALID_ARGUMENT',
    message: 'The request id "job-7" stands for release 1, which says something else: use a new id for a new publish.',
  }
  await expect(admin.publish(timeout(700), { requestId: 'job-7' })).rejects.toMatchObject(problem)
  await expect(admin.rollback({ to: 1, requestId: 'job-7' })).rejects.toMatchObject(problem)
})

test('When the answer to a commit is lost it is looked up, and the release is published once.', async () => {
  let lost = 0
  spy.onCommit = async (_, next) => {
    const outcome = await next()
    if ((lost += 1) === 1) throw new UnknownOutcomeError('The answer was lost.')
    return outcome
  }
  expect(await admin.publish(timeout(800))).toMatchObject({ isNew: true, release: { number: 1 } })
  expect(spy.commits.length).toBe(1)
})

test('When a commit was lost before it happened it is sent again, as the same one.', async () => {
  let sent = 0
  spy.onCommit = (_, next) => ((sent += 1) === 1 ? Promise.reject(new UnknownOutcomeError('It was lost.')) : next())
  expect(await admin.publish(timeout(800))).toMatchObject({ isNew: true, release: { number: 1 } })
  expect(new Set(spy.commits.map(({ commitId }) => commitId)).size).toBe(1)
})

test('An outcome that stays unknown is said to be so.', async () => {
  spy.onCommit = () => Promise.reject(new UnknownOutcomeError('It was lost.'))
  await expect(admin.publish(timeout(800))).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
  spy.onCommit = undefined
  expect(await admin.publish(timeout(800))).toMatchObject({ isNew: true, release: { number: 1 } })
})

test('A rollback is a new release with the content of an older one.', async () => {
  const first = await admin.publish(timeout(800))
  await admin.publish(timeout(900))
  const back = await admin.rollback({ to: 1, message: 'bank is slow again' })
  const { hash } = first.release
  expect(back.release).toMatchObject({ number: 3, hash, kind: 'rollback', rolledBackTo: 1, parent: { number: 2 } })
  expect(await admin.rollback({ to: -1 })).toMatchObject({ isNew: false, release: { number: 3 } })
  expect(await admin.rollback({ to: -2, requestId: 'r' })).toMatchObject({ isNew: true, release: { number: 4 } })
  expect(await admin.rollback({ to: 2, requestId: 'r' })).toMatchObject({ isNew: false, release: { number: 4 } })
  await expect(admin.rollback(undefined as never)).rejects.toThrow(
    'Expected the options of rollback to be an object, got undefined.',
  )
  await expect(admin.rollback({ to: 9 })).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'number' })
})

test('A scope whose head was deleted by hand goes on after its last release.', async () => {
  await admin.publish(timeout(800))
  await admin.publish(timeout(900))
  const { records } = spy.backend
  const changes = [{ kind: 'delete', id: 'head' } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  const clock = spy.backend.clock as SimulatedClock
  const published = fleet.admin().publish(timeout(700), { expectedRevision: 0 })
  await clock.advance(10_000)
  expect((await published).release).toMatchObject({ number: 3, parent: undefined })
})

test('A patch is not published on top of nothing where the head was deleted by hand: what it does not name would be lost.', async () => {
  await admin.publish([checkout.replace({ timeoutMs: 800, retries: 5 })])
  await admin.publish(timeout(900))
  const { records } = spy.backend
  const changes = [{ kind: 'delete', id: 'head' } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  for (const who of [admin, fleet.admin()]) {
    await expect(who.publish(timeout(700))).rejects.toMatchObject({
      code: 'HF_UNTRUSTED',
      message: expect.stringContaining('rollback({ to: 2 })') as string,
    })
  }
  expect((await admin.rollback({ to: 2 })).release.number).toBe(3)
  await admin.publish(timeout(700))
  expect((await admin.release(-1)).content.namespaces['checkout']).toEqual({ timeoutMs: 700, retries: 5 })
})

test('A patch is not published on top of nothing where the store was wiped, by an admin that knew what was there.', async () => {
  const world = new MemoryWorld(new SimulatedClock())
  const [first, second] = [1, 2].map(() => new FleetFixture(memoryBackend({ world })).admin())
  const wipe = (): void => world.directories.lose('config:shop:prod')
  await first?.publish([checkout.replace({ timeoutMs: 800, retries: 5 })])
  await second?.state()
  wipe()
  for (const who of [first, second]) {
    await expect(who?.publish(timeout(700))).rejects.toMatchObject({
      code: 'HF_CONFLICT',
      expected: 'release 1',
      message: expect.stringContaining('gone: the store lost it') as string,
    })
  }
  expect((await second?.state())?.kind).toBe('missing')
  // These do not build on what was there, or know that nothing is.
  await expect(first?.publish(timeout(700), { expectedRevision: 0 })).resolves.toMatchObject({ isNew: true })
  wipe()
  await expect(second?.publish([checkout.replace({ timeoutMs: 600 })])).resolves.toMatchObject({ isNew: true })
  wipe()
  // Who never saw a release cannot tell it from a first one.
  const third = new FleetFixture(memoryBackend({ world })).admin()
  await expect(third.publish(timeout(700))).resolves.toMatchObject({ isNew: true, release: { number: 1 } })
})

test('A patch that stands as a candidate counts as known once it is promoted, and not when it was taken back.', async () => {
  const world = new MemoryWorld(new SimulatedClock())
  const ours = new FleetFixture(memoryBackend({ world })).admin()
  await ours.publish(timeout(800), { steps: ['1', '100%'] })
  await ours.abort('not yet')
  await ours.publish(timeout(900), { steps: ['1', '100%'] })
  await ours.promote()
  world.directories.lose('config:shop:prod')
  await expect(ours.publish(timeout(700))).rejects.toMatchObject({ code: 'HF_CONFLICT', expected: 'release 2' })
  await ours.close()
})

test('A scope whose head was deleted does not begin at 1 again where the first releases are not kept any more.', async () => {
  const brief = fleet.admin({ historyMax: 2 })
  for (const ms of [500, 600, 700, 800, 900]) await brief.publish(timeout(ms))
  const { records } = spy.backend
  const changes = [{ kind: 'delete', id: 'head' } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  expect((await fleet.admin().publish(timeout(50), { expectedRevision: 0 })).release.number).toBe(6)
})

test('A namespace that is not known here can be edited by hand, unchecked but for its names.', async () => {
  await admin.publish([{ kind: 'patch', namespace: 'legacy', value: { anything: [1, { goes: true }] } }])
  expect((await admin.release(-1)).content.namespaces).toEqual({ legacy: { anything: [1, { goes: true }] } })
  await expect(admin.publish([{ kind: 'patch', namespace: 'legacy', value: { 'no way': 1 } }])).rejects.toMatchObject({
    code: 'HF_INVALID_CONFIG',
  })
})

test('What is published is what was given, whatever becomes of it later.', async () => {
  const value = { timeoutMs: 800 }
  const published = admin.publish([checkout.patch(value)])
  value.timeoutMs = 900
  await published
  expect((await admin.release(-1)).content.namespaces).toEqual({ checkout: { timeoutMs: 800 } })
})

test('An aborted signal ends a publish before anything is written.', async () => {
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(admin.publish(timeout(800), { signal })).rejects.toThrow('enough')
  expect(spy.commits).toEqual([])
})

test('A head that was copied from another environment is not published upon, and a rollback repairs it.', async () => {
  await admin.publish(timeout(800))
  await fleet.admin({ env: 'test' }).publish(timeout(5_000))
  const { records } = spy.backend
  const read = await records.read({ directory: 'config:shop:test', ids: ['head'] })
  const value = (read.kind === 'present' && read.records.get('head')?.value) || new Uint8Array()
  const changes = [{ kind: 'put', id: 'head', value } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  const other = fleet.admin()
  await expect(other.publish(timeout(700))).rejects.toMatchObject({
    code: 'HF_UNTRUSTED',
    message: 'The release belongs to shop/test, and this is shop/prod.',
  })
  await other.rollback({ to: 1 })
  expect((await other.release(-1)).content.namespaces).toEqual({ checkout: { timeoutMs: 800 } })
})

test('A head that was spoilt by hand keeps publishes away, and a rollback repairs it.', async () => {
  await admin.publish(timeout(800))
  await admin.publish(timeout(900))
  const { records } = spy.backend
  const changes = [{ kind: 'put', id: 'head', value: new TextEncoder().encode('{"oops"') } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  const other = fleet.admin()
  await expect(other.publish(timeout(700))).rejects.toMatchObject({ code: 'HF_UNTRUSTED' })
  const repaired = other.rollback({ to: 1 })
  await (spy.backend.clock as SimulatedClock).advance(10_000)
  expect((await repaired).release).toMatchObject({ number: 3, kind: 'rollback', rolledBackTo: 1 })
  expect((await other.publish(timeout(700))).release.number).toBe(4)
})
