import { randomUUID } from 'node:crypto'
import { redisBackend } from '@holdfast/core/redis'
import type { SharedRedis } from '@holdfast/scripts/servers'
import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace, openConfig, openConfigAdmin } from '../index.ts'
import type { Config } from '../index.ts'

const prefix = `hf-by-hand-${randomUUID()}`
const checkout = defineNamespace('checkout', { schema: z.object({ timeoutMs: z.number() }) })
const key = (app: string): string => `${prefix}:dir:{config:${app}:prod}`
let server: SharedRedis
let hand: Redis
const ends: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  server = await sharedRedis()
  hand = new Redis(server.url)
})

afterAll(async () => {
  for (const end of ends.reverse()) await end()
  const keys = await hand.keys(`${prefix}:*`)
  if (keys.length > 0) await hand.unlink(keys)
  hand.disconnect()
  await server.stop()
})

async function running(app: string): Promise<Config> {
  const backend = redisBackend({ url: server.url, prefix })
  ends.push(() => backend.close())
  const scope = { backend, app, env: 'prod', namespaces: [checkout] }
  const admin = openConfigAdmin(scope)
  await admin.publish([checkout.replace({ timeoutMs: 5 })])
  const config = await openConfig({ ...scope, reconcileMs: 200, regressionHoldMs: 60_000 })
  ends.push(
    () => config.close(),
    () => admin.close(),
  )
  return config
}

it.each([
  ['deletes the head', (app: string) => hand.hdel(key(app), 'r:head'), 'store-missing'],
  ['deletes the key', (app: string) => hand.del(key(app)), 'store-missing'],
  ['writes over the head', (app: string) => hand.hset(key(app), 'r:head', 'x'.repeat(60)), 'refused'],
  ['writes something short over the head', (app: string) => hand.hset(key(app), 'r:head', 'x'), 'refused'],
  ['empties the head', (app: string) => hand.hset(key(app), 'r:head', ''), 'refused'],
])('Whoever %s by hand changes nothing in a service, which says what happened', async (_, change, state) => {
  const app = `app-${randomUUID().slice(0, 8)}`
  const config = await running(app)
  await change(app)
  await expect.poll(() => config.status().state).toBe(state)
  expect(config.get(checkout)).toEqual({ timeoutMs: 5 })
  expect(config.status().detail).not.toBe('')
})
