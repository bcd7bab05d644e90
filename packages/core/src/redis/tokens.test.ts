import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import { redisBackend } from './index.ts'

const GRANTS = 100

let server: RedisServer
let admin: Redis
let clients: readonly Backend[]

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
  clients = [1, 2].map(() => redisBackend({ url: server.url, maxClockSkewMs: 0, claimMs: 200 }))
})

afterAll(async () => {
  await Promise.all(clients.map(client => client.close()))
  admin.disconnect()
  await server.stop()
})

describe('Fencing tokens', () => {
  it('strictly increase for two clients that contend while the data is lost again and again', async () => {
    const resource = randomUUID()
    const taken = await Promise.all(
      clients.map(async (client, number) => {
        const tokens: bigint[] = []
        for (let turn = 0; turn < GRANTS; turn += 1) {
          const lease = await acquireLease(client, resource, { ttlMs: 3_000 })
          tokens.push(lease.token.value)
          // Now and then all data is lost while one of them holds.
          if (number === 0 && turn % 10 === 5) await admin.flushall()
          await lease.release()
        }
        return tokens
      }),
    )
    // Each asked again only after its turn, so each sees tokens grow; that nobody gets one twice joins the two.
    for (const tokens of taken) expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)))
    expect(new Set(taken.flat()).size).toBe(2 * GRANTS)
  })

  it('are greater for each grant of the server, whoever asks and whatever was lost before', async () => {
    const resource = randomUUID()
    let last = 0n
    for (let round = 0; round < 30; round += 1) {
      const lease = await acquireLease(clients[round % 2] as Backend, resource, {})
      expect(lease.token.value).toBeGreaterThan(last)
      last = lease.token.value
      if (round % 3 === 0) await admin.flushall()
      else await lease.release()
    }
  })
})
