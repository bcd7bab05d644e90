import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, expect, test } from 'vitest'
import { placesOf } from '../release/scope.ts'
import type { ConfigAdmin } from './admin.ts'
import { FleetFixture, SCOPE, checkout } from './fleet.fixture.ts'
import { StoreSpy } from './store-spy.fixture.ts'

const DAY_MS = 86_400_000
const PLACES = placesOf(SCOPE)

let clock: SimulatedClock
let spy: StoreSpy
let fleet: FleetFixture

beforeEach(() => {
  clock = new SimulatedClock()
  spy = new StoreSpy(memoryBackend({ clock }))
  fleet = new FleetFixture(spy.backend)
})

async function publishTimes(admin: ConfigAdmin, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const { head } = await admin.state()
    await admin.publish([checkout.patch({ timeoutMs: 100 + ((head?.release.number ?? 0) % 500) })])
  }
}

async function idsIn(directory: string): Promise<readonly string[]> {
  const read = await spy.backend.records.read({ directory })
  return read.kind === 'present' ? [...read.records.keys()].sort() : []
}

test('The history keeps as many releases as it was told, with their requests, and lets the oldest go as new ones come.', async () => {
  const admin = fleet.admin({ historyMax: 5 })
  await publishTimes(admin, 40)
  expect((await admin.history()).map(({ number }) => number)).toEqual([40, 39, 38, 37, 36])
  expect((await idsIn(PLACES.releases)).length).toBe(1 + 2 * 5)
  expect((await admin.history({ limit: 2 })).map(({ number }) => number)).toEqual([40, 39])
  await expect(admin.release(35)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
})

test('A release goes in the commit that publishes a new one: who published it knows it, and others read it now and then.', async () => {
  const admin = fleet.admin({ historyMax: 20 })
  const publish = async (by: ConfigAdmin, times: number): Promise<readonly number[]> => {
    spy.reset()
    for (let time = 0; time < times; time += 1) await by.publish([checkout.patch({ retries: time })])
    return [spy.commits.length, spy.reads.length]
  }
  await publish(admin, 21)
  expect(await publish(admin, 32)).toEqual([32, 0])
  // One for the head, and two for those that were published before it came.
  expect(await publish(fleet.admin({ historyMax: 20 }), 32)).toEqual([32, 3])
  expect((await idsIn(PLACES.releases)).length).toBe(1 + 2 * 20)
})

test('Several admins that publish in turn let go of everything that is due.', async () => {
  const admins = [1, 2, 3].map(() => fleet.admin({ historyMax: 5 }))
  for (let round = 0; round < 10; round += 1) for (const admin of admins) await publishTimes(admin, 1)
  expect((await idsIn(PLACES.releases)).length).toBe(1 + 2 * 5)
})

test('An admin that others have overtaken by far lets go of no more than a commit takes (seen: a publish of 134 changes was refused).', async () => {
  const [one, other] = [fleet.admin({ historyMax: 100 }), fleet.admin({ historyMax: 100 })]
  await publishTimes(one, 110)
  await publishTimes(other, 150)
  await publishTimes(one, 1)
  expect((await one.history({ limit: 1 }))[0]?.number).toBe(261)
  expect(spy.commits.every(({ changes }) => changes.length <= 64)).toBe(true)
})

test('Releases that were taken back go with the others, and the head is never among them.', async () => {
  const admin = fleet.admin({ historyMax: 3 })
  await publishTimes(admin, 2)
  for (let time = 0; time < 5; time += 1) {
    await admin.publish([checkout.patch({ retries: 10 + time })], { steps: ['1', '100%'] })
    await admin.abort('no')
  }
  expect((await admin.release(-1)).release.number).toBe(2)
  expect((await admin.release(-2)).release.number).toBe(1)
  await publishTimes(admin, 3)
  expect((await admin.history()).map(({ number }) => number)).toEqual([10, 9, 8])
})

const big = (letter: string) => [{ kind: 'replace', namespace: 'big', value: { text: letter.repeat(40_000) } }] as const

async function settledClose(admin: ConfigAdmin): Promise<void> {
  await clock.advance(0)
  await admin.close()
}

test('A large content stands in a record of its own, and is read from there.', async () => {
  const admin = fleet.admin()
  const { release } = await admin.publish(big('a'))
  expect(await idsIn(PLACES.contents)).toEqual([release.hash, 'index'].sort())
  const head = await fleet.admin().release(-1)
  expect(head.content.namespaces['big']).toEqual({ text: 'a'.repeat(40_000) })
  await admin.publish([checkout.patch({ retries: 1 })])
  expect((await admin.diff(1, 2)).map(({ namespace }) => namespace)).toEqual(['checkout'])
})

test('A content that no release refers to goes after a day, and not before; one that is referred to stays.', async () => {
  const writer = fleet.admin({ historyMax: 1 })
  const first = await writer.publish(big('a'))
  await clock.advance(DAY_MS)
  const second = await writer.publish(big('b'))
  await settledClose(writer)
  expect(await idsIn(PLACES.contents)).toEqual([first.release.hash, second.release.hash, 'index'].sort())

  await clock.advance(3_600_000)
  const later = fleet.admin({ historyMax: 1 })
  const third = await later.publish(big('c'))
  await settledClose(later)
  expect(await idsIn(PLACES.contents)).toEqual([second.release.hash, third.release.hash, 'index'].sort())
})

test('Who prunes and finds that another has saved meanwhile leaves everything.', async () => {
  const setup = fleet.admin({ historyMax: 1 })
  const first = await setup.publish(big('a'))
  await setup.publish(big('b'))
  await setup.close()
  await clock.advance(DAY_MS + 1)
  const saver = fleet.admin({ historyMax: 1 })
  let isPruning = false
  spy.onCommit = async (commit, next) => {
    const prunes = commit.directory === PLACES.contents && commit.changes.some(({ kind }) => kind === 'delete')
    if (!prunes || isPruning) return next()
    isPruning = true
    // The content that is about to go is published once more.
    await saver.publish(big('a'))
    return next()
  }
  const pruner = fleet.admin({ historyMax: 1 })
  await pruner.publish(big('c'))
  await settledClose(pruner)
  expect(isPruning).toBe(true)
  expect(await idsIn(PLACES.contents)).toContain(first.release.hash)
  expect((await fleet.admin().release(-1)).release.hash).toBe(first.release.hash)
})
