import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, expect, test } from 'vitest'
import { schemaFingerprint } from '../resolve/fingerprint.ts'
import type { ConfigAdmin } from './admin.ts'
import { FleetFixture, checkout } from './fleet.fixture.ts'
import { StoreSpy } from './store-spy.fixture.ts'

let spy: StoreSpy
let fleet: FleetFixture
let admin: ConfigAdmin

beforeEach(async () => {
  const clock = new SimulatedClock()
  spy = new StoreSpy(memoryBackend({ clock }))
  fleet = new FleetFixture(spy.backend)
  admin = fleet.admin()
  const { release } = await admin.publish([checkout.patch({ timeoutMs: 500 })])
  const known = schemaFingerprint(checkout.definition.schema) ?? 'none'
  fleet.instance('same', { applied: release, schemas: { checkout: known } })
  fleet.instance('other', { applied: release, schemas: { checkout: 'another' }, labels: { canary: 'true' } })
  fleet.instance('angry').refuses(release, 'no')
  await clock.advance(0)
  spy.reset()
})

test('A plan tells what would change, for whom, and who may not take it; it writes nothing.', async () => {
  const plan = await admin.plan([checkout.patch({ timeoutMs: 800 })])
  expect(plan).toMatchObject({
    head: { number: 1 },
    changes: [{ kind: 'changed', namespace: 'checkout', path: ['timeoutMs'], before: 500, after: 800 }],
    issues: [],
    affected: ['angry', 'other', 'same'],
    doubtful: [
      { instance: 'angry', reason: 'it refuses release 1, the head, as well' },
      { instance: 'other', reason: 'it has another schema of checkout' },
    ],
  })
  expect(spy.commits).toEqual([])
  const { release } = await admin.publish([checkout.patch({ timeoutMs: 800 })])
  expect(plan.hash).toBe(release.hash)
})

test('A plan of what cannot be published says what is wrong with it.', async () => {
  const plan = await admin.plan([checkout.patch({ timeoutMs: 1 })])
  expect(plan.issues).toMatchObject([{ namespace: 'checkout', path: ['timeoutMs'] }])
})

test('A plan in steps is for those whom the first step reaches.', async () => {
  const plan = await admin.plan([checkout.patch({ timeoutMs: 800 })], { steps: [{ canary: 'true' }, '100%'] })
  expect(plan.affected).toEqual(['other'])
})

test('A plan that changes nothing affects nobody, and one from an older release is a conflict.', async () => {
  expect(await admin.plan([checkout.patch({ timeoutMs: 500 })])).toMatchObject({ changes: [], affected: [] })
  await expect(admin.plan([], { expectedRevision: 7 })).rejects.toMatchObject({ code: 'HF_CONFLICT' })
})
