import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../clock.ts'
import { connectTo } from '../driver.ts'
import { EventTurns } from './event-turns.ts'
import { RedisQuorumNode } from './redis-node.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})

afterAll(async () => {
  await server.stop()
})

function openNode(changed: () => void): RedisQuorumNode {
  return new RedisQuorumNode({
    name: 'server',
    clock: systemClock,
    prefix: 'hf',
    commandTimeoutMs: 10_000,
    quarantineMs: 60_000,
    keepMs: 60_000,
    open: () => connectTo(server.url, () => 0.5),
    admit: () => {},
    turns: new EventTurns(),
    changed,
  })
}

describe('A server of a quorum', () => {
  it('is asked in order also while it is connected to: a vote is not overtaken by what takes it back', async () => {
    const first = openNode(() => {})
    await first.admit('admit')
    first.close()
    const ballot = { resource: 'r', requestId: 'x/1', ttlMs: 10_000, meta: '{}', isFenced: true }
    const withdrawn: Promise<boolean>[] = []
    // As soon as it is known to be there, and whoever asked before still waits.
    const node = openNode(() => {
      if (node.status.kind === 'up' && withdrawn.length === 0) withdrawn.push(node.withdraw(ballot))
    })
    expect(await node.vote(ballot)).toHaveProperty('kind', 'yes')
    expect(await Promise.all(withdrawn)).toEqual([true])
    expect(await node.inspect('r')).toBeUndefined()
    node.close()
  })
})
