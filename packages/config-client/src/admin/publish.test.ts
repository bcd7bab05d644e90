import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { openConfigAdmin } from '../index.ts'
import { defineNamespace } from '../namespace/namespace.ts'

const checkout = defineNamespace('checkout', {
  schema: z.object({ timeoutMs: z.number().int().min(50).max(5_000).default(500), retries: z.number().default(2) }),
})

function makeScene() {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const backend = memoryBackend({ world })
  const open = (options: Partial<Parameters<typeof openConfigAdmin>[0]> = {}) =>
    openConfigAdmin({ backend, app: 'shop', env: 'prod', namespaces: [checkout], author: 'ann', ...options })
  return { clock, world, backend, open, admin: open() }
}

test('A first publish is release 1, and the next one is 2, with the first as its parent.', async () => {
  const { admin } = makeScene()
  const first = await admin.publish([checkout.patch({ timeoutMs: 800 })], { message: 'slow bank' })
  const second = await admin.publish([checkout.patch({ retries: 3 })])
  expect(first).toMatchObject({
    isNew: true,
    release: { number: 1, author: 'ann', message: 'slow bank', parent: undefined },
  })
  expect(second.release).toMatchObject({ number: 2, parent: { number: 1, hash: first.release.hash } })
  const state = await admin.state()
  expect(state.head?.content.namespaces).toEqual({ checkout: { timeoutMs: 800, retries: 3 } })
  expect(await admin.diff(-2, -1)).toMatchObject([
    { kind: 'added', namespace: 'checkout', path: ['retries'], after: 3 },
  ])
  const back = await admin.rollback({ to: 1, message: 'no' })
  expect(back.release).toMatchObject({ number: 3, hash: first.release.hash, kind: 'rollback', rolledBackTo: 1 })
  expect((await admin.history()).map(({ number, standing }) => [number, standing])).toEqual([
    [3, 'head'],
    [2, 'past'],
    [1, 'past'],
  ])
  expect(await back.settled).toMatchObject({ kind: 'settled', applied: [] })
})
