import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import type { Config } from '../client/config.ts'
import { openConfig } from '../client/open-config.ts'
import type { ConfigOptions } from '../client/options.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import type { ConfigAdmin } from './admin.ts'
import { FleetFixture, SCOPE, checkout } from './fleet.fixture.ts'

let clock: SimulatedClock
let fleet: FleetFixture
let admin: ConfigAdmin
const open: Config[] = []

beforeEach(async () => {
  clock = new SimulatedClock()
  fleet = new FleetFixture(memoryBackend({ clock }))
  admin = fleet.admin()
  await admin.publish([checkout.patch({ timeoutMs: 500 })])
})

afterEach(async () => {
  await Promise.all([admin.close(), ...open.splice(0).map(config => config.close())])
  await fleet.backend.close()
})

async function service(id: string, options: Partial<ConfigOptions> = {}): Promise<Config> {
  const opened = openConfig({
    backend: fleet.backend,
    ...SCOPE,
    namespaces: [checkout],
    instance: { id, slot: id, labels: { zone: id } },
    ...options,
  })
  await clock.advance(100)
  const config = await opened
  open.push(config)
  return config
}

test('What is published is what every service reads, and the deployment settles.', async () => {
  const services = [await service('a'), await service('b')]
  const { settled } = await admin.publish([checkout.patch({ timeoutMs: 800 })])
  await clock.advance(1_000)
  expect(services.map(config => config.get(checkout).timeoutMs)).toEqual([800, 800])
  expect(await settled).toMatchObject({ kind: 'settled', applied: ['a', 'b'] })
})

test('The publisher sees which service refused, with path and message, while that one keeps what it had.', async () => {
  const cautious = defineNamespace('checkout', {
    schema: z.object({
      timeoutMs: z.number().max(600, 'too slow for me').default(500),
      retries: z.number().default(2),
    }),
  })
  await service('a')
  const b = await service('b', { namespaces: [cautious] })
  const { settled } = await admin.publish([checkout.patch({ timeoutMs: 800 })])
  await clock.advance(1_000)
  expect(b.get(cautious).timeoutMs).toBe(500)
  expect(await settled).toMatchObject({
    kind: 'refused',
    applied: ['a'],
    refused: [
      {
        instance: 'b',
        refusal: {
          stage: 'parse',
          issues: [{ namespace: 'checkout', path: ['timeoutMs'], message: 'too slow for me' }],
        },
      },
    ],
  })
  expect((await admin.plan([checkout.patch({ timeoutMs: 900 })])).doubtful).toMatchObject([{ instance: 'b' }])
})

test('A release in steps reaches the canary first; when that refuses, all are back where they were.', async () => {
  const a = await service('a')
  const b = await service('b')
  a.participate(checkout, {
    name: 'pool',
    prepare: ({ next }) => {
      if (next.timeoutMs > 900) throw new Error('no such pool')
    },
  })
  const steps = [{ zone: 'a' }, '100%']
  const first = await admin.publish([checkout.patch({ timeoutMs: 800 })], { steps, bakeMs: 10_000 })
  await clock.advance(5_000)
  expect([a.get(checkout).timeoutMs, b.get(checkout).timeoutMs]).toEqual([800, 500])
  await clock.advance(10_000)
  expect(await first.settled).toMatchObject({ kind: 'settled', applied: ['a', 'b'] })

  const second = await admin.publish([checkout.patch({ timeoutMs: 1_000 })], { steps, bakeMs: 10_000 })
  await clock.advance(5_000)
  expect(await second.settled).toMatchObject({
    kind: 'aborted',
    reason: expect.stringContaining('a refused it') as string,
    refused: [{ instance: 'a', refusal: { stage: 'prepare', participant: 'pool' } }],
  })
  await clock.advance(5_000)
  expect([a.get(checkout).timeoutMs, b.get(checkout).timeoutMs]).toEqual([800, 800])
  expect(a.status().state).toBe('current')
})

test('Who had taken a release that is taken back returns to the head.', async () => {
  const a = await service('a')
  await admin.publish([checkout.patch({ timeoutMs: 800 })], { steps: [{ zone: 'a' }, '100%'], bakeMs: 60_000 })
  await clock.advance(1_000)
  expect(a.get(checkout).timeoutMs).toBe(800)
  await admin.abort('wrong day')
  await clock.advance(1_000)
  expect(a.get(checkout).timeoutMs).toBe(500)
  expect(a.status()).toMatchObject({ state: 'current', release: { number: 1 } })
})
