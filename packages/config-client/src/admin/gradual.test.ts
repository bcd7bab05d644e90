import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ConfigAdmin, Deployment, Settlement } from './admin.ts'
import { FleetFixture, SCOPE, checkout } from './fleet.fixture.ts'
import type { ReportedInstance } from './fleet.fixture.ts'
import { selects } from '../release/selection.ts'

let fleet: FleetFixture
let admin: ConfigAdmin
let instances: ReportedInstance[]
const IDS = ['a', 'b', 'c', 'd']

beforeEach(async () => {
  fleet = new FleetFixture()
  admin = fleet.admin()
  const { release } = await admin.publish([checkout.patch({ timeoutMs: 500 })])
  instances = IDS.map(id => fleet.instance(id, { applied: release, labels: { canary: String(id === 'a') } }))
  await fleet.clock.advance(0)
})

afterEach(async () => {
  await admin.close()
  await fleet.backend.close()
  expect(fleet.clock.pendingTimers).toBe(0)
})

// Those for whom the candidate is meant apply it, as instances do.
async function applySelected({ release }: Deployment): Promise<readonly string[]> {
  const { candidate, instances: reports } = await admin.state()
  const meant = reports.filter(report => candidate !== undefined && selects(candidate.rule, report, release, SCOPE))
  for (const { id } of meant) instances[IDS.indexOf(id)]?.applies(release)
  await fleet.clock.advance(0)
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
    await fleet.clock.advance(0)
    expect((await admin.state()).candidate?.step).toBe(step)
    counts.push((await applySelected(deployment)).length)
    await fleet.clock.advance(9_999)
    await fleet.clock.advance(1)
  }
  expect(counts).toEqual([1, 3, 4])
  await fleet.clock.advance(0)
  expect(seen.settlement).toMatchObject({ kind: 'settled', applied: IDS, reason: undefined })
  expect(await admin.state()).toMatchObject({ head: { release: { number: 2 } }, candidate: undefined })
})
