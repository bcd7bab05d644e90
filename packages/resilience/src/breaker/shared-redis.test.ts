import { randomUUID } from 'node:crypto'
import { redisBackend } from '@holdfast/core/redis'
import type { SharedRedis } from '@holdfast/scripts/servers'
import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'

const prefix = `hf-breaker-${randomUUID()}`
const WITHIN = { interval: 10 }
let server: SharedRedis

beforeAll(async () => {
  server = await sharedRedis()
})

afterAll(async () => {
  const admin = new Redis(server.url)
  for await (const keys of admin.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await admin.unlink(keys as string[])
  }
  await admin.quit()
  await server.stop()
})

test('Three instances on Redis: two open it for the third, take turns at trial calls, and leave nothing behind.', async () => {
  const backends = [1, 2, 3].map(() => redisBackend({ url: server.url, prefix }))
  const instances = backends.map((backend, index) => {
    const shared = { backend, instance: `i${index}`, ttlMs: 2_000 }
    return circuitBreaker({ name: 'stock', minCalls: 2, openMs: 300, openJitter: 0, halfOpenCalls: 2, shared })
  })
  let isDown = true
  const call = (policy: (typeof instances)[number]): Promise<unknown> =>
    policy
      .execute(() => (isDown ? Promise.reject(new Error('down')) : Promise.resolve()))
      .catch((error: unknown) => error)
  const kinds = (): readonly string[] => instances.map(({ state }) => state.kind)
  await vi.waitFor(() => {
    const linked = { link: 'linked', peers: 2 }
    for (const policy of instances) expect(policy.describe().state['shared']).toMatchObject(linked)
  }, WITHIN)
  for (const policy of instances.slice(0, 2)) for (let count = 0; count < 2; count++) await call(policy)
  expect(kinds().slice(0, 2)).toEqual(['open', 'open'])
  await vi.waitFor(() => expect(instances[2]?.state).toMatchObject({ kind: 'open', cause: 'peers' }), WITHIN)
  isDown = false
  await vi.waitFor(async () => {
    for (const policy of instances) await call(policy)
    expect(kinds()).toEqual(['closed', 'closed', 'closed'])
  }, WITHIN)
  for (const policy of instances.slice(0, 2)) policy.close()
  await vi.waitFor(() => expect(instances[2]?.describe().state['shared']).toMatchObject({ peers: 0 }), WITHIN)
  instances[2]?.close()
  for (const backend of backends) await backend.close()
})
