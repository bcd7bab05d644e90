import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultProxy } from '../testing/index.ts'
import { recordConformance } from '../testing/index.ts'
import { recordHarness } from './record-harness.fixture.ts'

let server: RedisServer
let admin: Redis

function connect([asking]: readonly FaultProxy[], [listening]: readonly FaultProxy[]): Redis {
  const client = new Redis(asking?.redisUrl ?? '', { retryStrategy: () => 20 })
  const duplicate = client.duplicate.bind(client)
  client.duplicate = override => duplicate({ ...override, port: listening?.port ?? 0 })
  return client.on('error', () => {})
}

async function listeners(channel: string): Promise<readonly number[]> {
  const [, count] = (await admin.pubsub('NUMSUB', channel)) as [string, number]
  return [count]
}

const harness = recordHarness(() => ({ nodes: [server], admin, connect, listeners, restart: () => server.restart() }))

describe('Records in Redis', () => {
  beforeAll(async () => {
    server = await startRedis({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = new Redis(server.url)
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await server.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
