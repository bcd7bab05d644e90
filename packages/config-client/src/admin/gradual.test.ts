import { UnavailableError, UnknownOutcomeError } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConfigAdmin, Deployment, Settlement } from './admin.ts'
import { FleetFixture, SCOPE, checkout } from './fleet.fixture.ts'
import type { ReportedInstance } from './fleet.fixture.ts'
import { moveCandidate } from './candidate-book.ts'
import { ReleaseBook } from './release-book.ts'
import { StoreSpy } from './store-spy.fixture.ts'
import { selects } from '../release/selection.ts'

let clock: SimulatedClock
let fleet: FleetFixture
let admin: ConfigAdmin
let instances: ReportedInstance[]
const IDS = ['a', 'b', 'c', 'd']

beforeEach(async () => {
  clock = new SimulatedClock()
  fleet = new FleetFixture(memoryBackend({ clock }))
  admin = fleet.admin()
  const { release } = await admin.publish([checkout.patch({ timeoutMs: 500 })])
  instances = IDS.map(id => fleet.instance(id, { applied: release, labels: { canary: String(id === 'a') } }))
  await clock.advance(0)
})

afterEach(async () => {
  await admin.close()
  await fleet.backend.close()
  if (clock.pendingTimers > 0) throw new Error('A timer was left behind.')
})

// Those for whom the candidate is meant apply it, as instances do.
async function applySelected({ release }: Deployment): Promise<readonly string[]> {
  const { candidate, instances: reports } = await admin.state()
  const meant = reports.filter(report => candidate !== undefined && selects(candidate.rule, report, release, SCOPE))
  for (const { id } of meant) instances[IDS.indexOf(id)]?.applies(release)
  await clock.advance(0)
  return meant.map(({ id }) => id)
}

function watched(deployment: Deployment): { settlement: Settlement | undefined; error: unknown } {
  const seen: { settlement: Settlement | undefined; error: unknown } = { settlement: undefined, error: undefined }
  deployment.settled.then(
    settlement => (seen.settlement = settlement),
    (error: unknown) => (seen.error = error),
  )
  return seen
}

const EDIT = [checkout.patch({ timeoutMs: 800 })]

test('A release in steps goes to some, bakes, goes to more, and becomes the head when all have taken it.', async () => {
  const deployment = await admin.publish(EDIT, { steps: ['1', '3', '100%'], bakeMs: 10_000 })
  const seen = watched(deployment)
  const counts: number[] = []
  for (let step = 0; step < 3; step += 1) {
    await clock.advance(0)
    expect((await admin.state()).candidate?.step).toBe(step)
    counts.push((await applySelected(deployment)).length)
    await clock.advance(9_999)
    await clock.advance(1)
  }
  expect(counts).toEqual([1, 3, 4])
  await clock.advance(0)
  expect(seen.settlement).toMatchObject({ kind: 'settled', applied: IDS, reason: undefined })
  expect(await admin.state()).toMatchObject({ head: { release: { number: 2 } }, candidate: undefined })
})

test('Labels come first, and who has taken it by them stays when a share of the fleet follows.', async () => {
  const deployment = await admin.publish(EDIT, { steps: [{ canary: 'true' }, '1%', '100%'], bakeMs: 1_000 })
  expect(await applySelected(deployment)).toEqual(['a'])
  await clock.advance(1_000)
  expect((await admin.state()).candidate).toMatchObject({ step: 1 })
  expect(await applySelected(deployment)).toContain('a')
  expect(deployment.progress.current).toMatchObject({ kind: 'settled', silent: [] })
})

test('While a release is rolled out in steps another publish is refused, and is told which one it is.', async () => {
  await admin.publish(EDIT, { steps: ['1', '100%'], message: 'slow bank', author: 'bob' })
  await expect(fleet.admin().publish([checkout.patch({ retries: 1 })])).rejects.toMatchObject({
    code: 'HF_CONFLICT',
    message:
      'Expected shop:prod to be free of a rollout in steps, and it is at step 1 of 2 of release 2, by bob: "slow bank". Nothing was written.',
  })
})

test('A refusal takes a release in steps back, and the publisher and the history tell who refused and why.', async () => {
  const deployment = await admin.publish(EDIT, { steps: [{ canary: 'true' }, '100%'] })
  const seen = watched(deployment)
  await clock.advance(0)
  instances[0]?.refuses(deployment.release, 'too slow for me')
  await clock.advance(0)
  const reason = 'a refused it (checkout.timeoutMs: too slow for me)'
  expect(seen.settlement).toMatchObject({ kind: 'aborted', reason, refused: [{ instance: 'a' }], applied: [] })
  expect(await admin.state()).toMatchObject({ head: { release: { number: 1 } }, candidate: undefined })
  expect((await admin.history())[0]).toMatchObject({ number: 2, standing: 'withdrawn', reason })
})

test('A refusal that comes while a step bakes takes it back as well.', async () => {
  const deployment = await admin.publish(EDIT, { steps: [{ canary: 'true' }, '100%'] })
  const seen = watched(deployment)
  await applySelected(deployment)
  await clock.advance(30_000)
  expect(seen.settlement).toBeUndefined()
  instances[0]?.refuses(deployment.release, 'pool exhausted')
  await clock.advance(0)
  expect(seen.settlement?.kind).toBe('aborted')
})

test('The number of a release that was taken back is not used again, and -2 passes over it.', async () => {
  const deployment = await admin.publish(EDIT, { steps: ['1', '100%'] })
  await admin.abort('no')
  const next = await admin.publish([checkout.patch({ retries: 1 })])
  expect([deployment.release.number, next.release.number]).toEqual([2, 3])
  expect((await admin.release(-2)).release.number).toBe(1)
})

test('So many refusals as allowed do not take it back.', async () => {
  const deployment = await admin.publish(EDIT, { steps: ['4', '100%'], bakeMs: 1_000, abortOn: { refusals: 2 } })
  const seen = watched(deployment)
  await applySelected(deployment)
  instances[1]?.refuses(deployment.release, 'no')
  await clock.advance(1_000)
  expect(seen.settlement).toMatchObject({ kind: 'refused', applied: ['a', 'c', 'd'], refused: [{ instance: 'b' }] })
  expect((await admin.state()).head?.release.number).toBe(2)
})

test('Instances that do not answer in time take it back when so many were named, and not before.', async () => {
  const options = { steps: ['2', '100%'], settleMs: 5_000, bakeMs: 0, abortOn: { silent: 2 } }
  const seen = watched(await admin.publish(EDIT, options))
  await clock.advance(4_999)
  expect(seen.settlement).toBeUndefined()
  await clock.advance(1)
  expect(seen.settlement).toMatchObject({
    kind: 'aborted',
    reason: '2 of the instances did not answer within 5000 ms',
    silent: [expect.any(String), expect.any(String)],
  })
})

test('Without a number for it silence does not take it back, and shows in the end.', async () => {
  const seen = watched(await admin.publish(EDIT, { steps: ['2', '100%'], settleMs: 5_000, bakeMs: 1_000 }))
  await clock.advance(16_000)
  expect(seen.settlement).toMatchObject({ kind: 'silent', silent: IDS })
  expect((await admin.state()).head?.release.number).toBe(2)
})

for (const [what, answer, reason] of [
  ['says no', async () => false, 'the guard said no'],
  ['gives a reason', async () => 'error rate at 4 %', 'error rate at 4 %'],
  ['rejects', () => Promise.reject(new Error('no metrics')), 'the guard failed: no metrics'],
  ['never answers', () => new Promise<boolean>(() => {}), 'the guard failed: did not answer within 5000 ms'],
] as const) {
  test(`A guard that ${what} takes it back.`, async () => {
    let asked = 0
    const guard = async (): Promise<boolean | string> => ((asked += 1) < 3 ? true : answer())
    const options = { steps: ['1', '100%'], bakeMs: 20_000, settleMs: 5_000, abortOn: { guard } }
    const deployment = await admin.publish(EDIT, options)
    const seen = watched(deployment)
    await applySelected(deployment)
    await clock.advance(5_999)
    expect([asked, seen.settlement]).toEqual([2, undefined])
    await clock.advance(5_001)
    expect(seen.settlement).toMatchObject({ kind: 'aborted', reason })
    expect((await admin.state()).head?.release.number).toBe(1)
  })
}

test('A driver that closes leaves the release at its step, and resume goes on from there.', async () => {
  const driver = fleet.admin()
  const deployment = await driver.publish(EDIT, { steps: ['1', '3', '100%'], bakeMs: 1_000 })
  const left = watched(deployment)
  await applySelected(deployment)
  await clock.advance(1_000)
  await driver.close()
  await clock.advance(600_000)
  expect(left.error).toMatchObject({ code: 'HF_CLOSED' })
  expect((await admin.state()).candidate).toMatchObject({ step: 1 })

  const resumed = await admin.resume({ bakeMs: 1_000 })
  const seen = watched(resumed ?? deployment)
  for (let step = 1; step < 3; step += 1) {
    await applySelected(deployment)
    await clock.advance(1_000)
  }
  expect(seen.settlement).toMatchObject({ kind: 'settled', applied: IDS })
})

test('Of two drivers the one that resumed goes on, and the other only looks on.', async () => {
  const deployment = await admin.publish(EDIT, { steps: ['1', '100%'], bakeMs: 1_000 })
  const first = watched(deployment)
  await clock.advance(0)
  const other = fleet.admin()
  const resumed = await other.resume({ bakeMs: 50_000 })
  const second = watched(resumed ?? deployment)
  await applySelected(deployment)
  await clock.advance(49_999)
  expect((await admin.state()).candidate).toMatchObject({ step: 0 })
  await clock.advance(1)
  await applySelected(deployment)
  await clock.advance(0)
  expect([first.settlement?.kind, second.settlement?.kind]).toEqual(['settled', 'settled'])
  await other.close()
})

test('A driver whose step was written by another in the same moment does not take it for its own.', async () => {
  const spy = new StoreSpy(fleet.backend)
  const driver = new FleetFixture(spy.backend).admin()
  const deployment = await driver.publish(EDIT, { steps: ['1', '2', '100%'], bakeMs: 1_000 })
  await applySelected(deployment)
  spy.onCommit = async (_, next) => {
    spy.onCommit = undefined
    const book = new ReleaseBook(fleet.backend.records, SCOPE)
    const { candidate } = await book.read()
    if (candidate !== undefined) await moveCandidate(book, candidate, 1)
    return next()
  }
  await clock.advance(1_000)
  await applySelected(deployment)
  await clock.advance(600_000)
  expect((await admin.state()).candidate).toMatchObject({ step: 1 })
  await driver.close()
})

test('A step whose answer was lost is known for its own, and the rollout goes on.', async () => {
  const spy = new StoreSpy(fleet.backend)
  const driver = new FleetFixture(spy.backend).admin()
  const deployment = await driver.publish(EDIT, { steps: ['1', '100%'], bakeMs: 1_000 })
  const seen = watched(deployment)
  // Also who looks it up is not answered.
  const { records } = spy.backend
  const read = records.read.bind(records)
  spy.onCommit = async (_, next) => {
    spy.onCommit = () => Promise.reject(new UnknownOutcomeError('It was lost.'))
    records.read = () => Promise.reject(new UnavailableError('It does not answer.'))
    await next()
    throw new UnknownOutcomeError('Its answer was lost.')
  }
  await applySelected(deployment)
  await clock.advance(1_000)
  spy.onCommit = undefined
  records.read = read
  await clock.advance(5_000)
  expect((await admin.state()).candidate).toMatchObject({ step: 1 })
  await applySelected(deployment)
  await clock.advance(5_000)
  expect(seen.settlement?.kind).toBe('settled')
  await driver.close()
})

test('Promote makes it the head at once, and abort takes it back; the driver finds out and ends.', async () => {
  const promoted = await admin.publish(EDIT, { steps: ['1', '100%'] })
  const first = watched(promoted)
  await clock.advance(0)
  expect((await fleet.admin().promote())?.release.number).toBe(2)
  for (const instance of instances) instance.applies(promoted.release)
  await clock.advance(0)
  expect(first.settlement).toMatchObject({ kind: 'settled', applied: IDS })

  const aborted = watched(await admin.publish([checkout.patch({ retries: 1 })], { steps: ['1', '100%'] }))
  await clock.advance(0)
  expect((await fleet.admin().abort('wrong day'))?.number).toBe(3)
  await clock.advance(0)
  expect(aborted.settlement).toMatchObject({ kind: 'aborted', reason: 'wrong day' })
})

test('Without a rollout there is nothing to abort, to promote or to resume.', async () => {
  expect([await admin.abort('x'), await admin.promote(), await admin.resume()]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('A rollback can go in steps too.', async () => {
  await admin.publish(EDIT)
  const deployment = await admin.rollback({ to: 1, steps: ['1', '100%'], bakeMs: 0 })
  const seen = watched(deployment)
  for (let step = 0; step < 2; step += 1) await applySelected(deployment)
  await clock.advance(0)
  expect(seen.settlement).toMatchObject({ kind: 'settled', release: { number: 3, kind: 'rollback', rolledBackTo: 1 } })
})

for (const [steps, message] of [
  [[], 'Expected `steps` to be a list of 1 to 20 steps, got an array of 0.'],
  [['10%'], 'Expected the last of the `steps` to be \'100%\', got "10%".'],
  [['50%', '10%', '100%'], 'Expected each of the `steps` to be larger than those before it, got 50, 10, 100.'],
  [['some', '100%'], "Expected a step to be a share ('10%'), a number of instances ('3') or labels, got \"some\"."],
] as const) {
  test(`Steps ${JSON.stringify(steps)} are refused in a sentence.`, async () => {
    await expect(admin.publish(EDIT, { steps })).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', message })
  })
}
