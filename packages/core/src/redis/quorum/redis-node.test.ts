import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../clock.ts'
import type { VoteAnswer } from '../../quorum/node.ts'
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

function openNode(changed: () => void, quarantineMs = 60_000): RedisQuorumNode {
  return new RedisQuorumNode({
    name: 'server',
    clock: systemClock,
    prefix: 'hf',
    commandTimeoutMs: 10_000,
    quarantineMs,
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

  it('is asked once what it has become, and told once how votes are asked for then, by many votes', async () => {
    const [node, other] = [openNode(() => {}), openNode(() => {}, 120_000)]
    const vote = (resource: string): Promise<VoteAnswer> =>
      node.vote({ resource, requestId: 'x/1', ttlMs: 10_000, meta: '{}', isFenced: false })
    await node.admit('look')
    expect(await vote('before')).toHaveProperty('kind', 'yes')
    await other.look()
    const admin = new Redis(server.url)
    await admin.config('RESETSTAT')
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => vote(`many ${index}`)))
    expect(answers.filter(({ kind }) => kind === 'yes')).toHaveLength(100)
    const stats = await admin.info('commandstats')
    expect(stats).toContain('cmdstat_evalsha:calls=201,')
    expect(stats).toContain('cmdstat_script|load:calls=2,')
    admin.disconnect()
    for (const one of [node, other]) one.close()
  })
})
