import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import type { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultProxy } from '../testing/index.ts'
import { recordConformance } from '../testing/index.ts'
import { clusterClient } from './links.fixture.ts'
import { recordHarness } from './record-harness.fixture.ts'

let cluster: RedisCluster
let admin: Cluster

function connect(asking: readonly FaultProxy[], listening: readonly FaultProxy[]): Cluster {
  const client = clusterClient(cluster.nodes, { through: asking, clusterRetryStrategy: () => 50 })
  const nodes = client.nodes.bind(client)
  client.nodes = role =>
    nodes(role).map(node => {
      const port = listening[asking.findIndex(proxy => proxy.port === node.options.port)]?.port
      return Object.assign(Object.create(node) as typeof node, {
        duplicate: (override: object) => node.duplicate({ ...override, ...(port === undefined ? {} : { port }) }),
      })
    })
  return client
}

async function listeners(channel: string): Promise<readonly number[]> {
  const masters = admin.nodes('master')
  const counts = await Promise.all(masters.map(node => node.pubsub('NUMSUB', channel) as Promise<[string, number]>))
  return counts.map(([, count]) => count)
}

const harness = recordHarness(() => ({
  nodes: cluster.nodes,
  admin,
  connect,
  listeners,
  restart: () => cluster.restart(),
}))

describe('Records in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = clusterClient(cluster.nodes)
  })

  afterAll(async () => {
    admin.disconnect()
    await cluster.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
