import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConfigAdmin, Deployment } from './admin.ts'
import { FleetFixture, checkout } from './fleet.fixture.ts'
import type { ReportedInstance } from './fleet.fixture.ts'

let clock: SimulatedClock
let fleet: FleetFixture
let admin: ConfigAdmin
let a: ReportedInstance
let b: ReportedInstance

beforeEach(async () => {
  clock = new SimulatedClock()
  fleet = new FleetFixture(memoryBackend({ clock }))
  admin = fleet.admin()
  a = fleet.instance('a')
  b = fleet.instance('b')
  await clock.advance(0)
})

afterEach(async () => {
  await admin.close()
  await fleet.backend.close()
  if (clock.pendingTimers > 0) throw new Error('A timer was left behind.')
})

const publish = (timeoutMs = 800): Promise<Deployment> => admin.publish([checkout.patch({ timeoutMs })])

test('A deployment settles when every instance has applied it.', async () => {
  const deployment = await publish()
  const { settled } = deployment
  a.applies(deployment.release)
  await clock.advance(0)
  expect(deployment.progress.current).toMatchObject({ kind: 'silent', applied: ['a'], silent: ['b'] })
  b.applies(deployment.release)
  await clock.advance(0)
  expect(await settled).toMatchObject({ kind: 'settled', applied: ['a', 'b'], refused: [], silent: [] })
})

test('A deployment that was refused says by whom and why, once all have answered.', async () => {
  const deployment = await publish()
  const { settled } = deployment
  a.refuses(deployment.release, 'too fast')
  await clock.advance(5_000)
  b.applies(deployment.release)
  await clock.advance(0)
  expect(await settled).toMatchObject({
    kind: 'refused',
    applied: ['b'],
    refused: [{ instance: 'a', refusal: { stage: 'parse', issues: [{ message: 'too fast' }] } }],
  })
})

test('Who does not answer within settleMs is silent; who leaves is not waited for.', async () => {
  const deployment = await admin.publish([checkout.patch({ timeoutMs: 800 })], { settleMs: 1_000 })
  const { settled } = deployment
  await b.leave()
  await clock.advance(1_000)
  expect(await settled).toMatchObject({ kind: 'silent', silent: ['a'] })
})

test('An instance that joins meanwhile counts.', async () => {
  const deployment = await publish()
  const { settled } = deployment
  a.applies(deployment.release)
  const late = fleet.instance('late')
  b.applies(deployment.release)
  await clock.advance(0)
  expect(deployment.progress.current).toMatchObject({ kind: 'silent', silent: ['late'] })
  late.applies(deployment.release)
  await clock.advance(0)
  expect(await settled).toMatchObject({ kind: 'settled', applied: ['a', 'b', 'late'] })
})

test('A deployment in whose place another was published is superseded, and says by which.', async () => {
  const { settled } = await publish()
  await fleet.admin({ author: 'bob' }).publish([checkout.patch({ timeoutMs: 900 })], { message: 'faster' })
  await clock.advance(0)
  expect(await settled).toMatchObject({ kind: 'superseded', reason: 'release 2 by bob: faster' })
})

test('A deployment that the store has lost is superseded as well.', async () => {
  const { settled } = await publish()
  const { records } = fleet.backend
  const changes = [{ kind: 'delete', id: 'head' } as const]
  await records.commit({ directory: 'config:shop:prod', commitId: records.newId(), changes })
  await clock.advance(0)
  expect(await settled).toMatchObject({ kind: 'superseded', reason: 'the store has no release any more' })
})

test('Where no instance is alive a deployment settles at once.', async () => {
  await Promise.all([a.leave(), b.leave()])
  const { settled } = await publish()
  await clock.advance(0)
  expect(await settled).toMatchObject({ kind: 'settled', applied: [] })
})

test('A deployment that nobody looks at watches nothing.', async () => {
  const timers = clock.pendingTimers
  await publish()
  await clock.advance(0)
  expect(clock.pendingTimers).toBe(timers)
})

test('Waiting ends with the signal, and when the admin is closed.', async () => {
  const stop = new AbortController()
  const edits = [checkout.patch({ timeoutMs: 800 })]
  const stopped = (await admin.publish(edits, { signal: stop.signal })).settled
  stop.abort(new Error('enough'))
  await expect(stopped).rejects.toThrow('enough')

  const closed = (await publish(900)).settled
  await admin.close()
  await expect(closed).rejects.toMatchObject({ code: 'HF_CLOSED' })
  await expect(publish()).rejects.toMatchObject({ code: 'HF_CLOSED' })
})

test('Waiting ends when the backend is closed.', async () => {
  const { settled } = await publish()
  const stepped = await fleet.admin().publish([checkout.patch({ retries: 9 })], { steps: ['1', '100%'] })
  const closing = fleet.backend.close()
  await clock.advance(3_000)
  await closing
  await expect(settled).rejects.toMatchObject({ code: 'HF_CLOSED' })
  await expect(stepped.settled).rejects.toMatchObject({ code: 'HF_CLOSED' })
})

test('An admin closes with its signal, and what it publishes at that moment does not wait any more.', async () => {
  const stop = new AbortController()
  const stopping = fleet.admin({ signal: stop.signal })
  const published = stopping.publish([checkout.patch({ timeoutMs: 800 })])
  stop.abort()
  await expect((await published).settled).rejects.toMatchObject({ code: 'HF_CLOSED' })
  await expect(stopping.state()).rejects.toMatchObject({ code: 'HF_CLOSED' })
})
