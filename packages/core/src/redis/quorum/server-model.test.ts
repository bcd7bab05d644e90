import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../clock.ts'
import type { QuorumNode } from '../../quorum/node.ts'
import { seededRandom } from '../../random.ts'
import { ServerModel } from '../../testing/quorum/server-model.ts'
import { connectTo } from '../driver.ts'
import { RedisQuorumNode } from './redis-node.ts'

const QUARANTINE_MS = 3_600_000
const LONG_MS = 600_000
const SHORT_MS = 100
// Ahead of every clock here: each further token is one more than the last, on the server and in the model.
const AHEAD = 5_000_000_000_000_000

let server: RedisServer
let admin: Redis

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

function openNode(): RedisQuorumNode {
  return new RedisQuorumNode({
    name: 'server',
    clock: systemClock,
    prefix: 'hf',
    commandTimeoutMs: 10_000,
    quarantineMs: QUARANTINE_MS,
    keepMs: 60_000,
    open: () => connectTo(server.url, () => 0.5),
    admit: () => {},
    changed: () => {},
  })
}

function openModel(): ServerModel {
  const nowUs = (): number => Math.floor(systemClock.wallMs() * 1_000)
  return new ServerModel({ name: 'server', nowUs, quarantineMs: QUARANTINE_MS, keepMs: 60_000 })
}

type Step = (node: ServerModel | QuorumNode) => unknown

// Votes, raises, renewals and give-backs of three requests for two resources.
function steps(seed: number, count: number): readonly Step[] {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
  return Array.from({ length: count }, (): Step => {
    const vote = { resource: pick(['a', 'b']), requestId: pick(['x/1', 'y/1', 'z/2']) }
    const chance = random.next()
    if (chance < 0.45) return node => node.vote({ ...vote, ttlMs: LONG_MS, meta: '{"by":"me"}' })
    if (chance < 0.6) return node => node.raise(vote, String(AHEAD + count).padStart(20, '0'))
    if (chance < 0.75) return node => node.renew(vote, LONG_MS)
    return node => node.withdraw(vote)
  })
}

// Milliseconds differ by what a call takes.
function comparable(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('remainingMs' in answer)) return answer
  return { ...answer, remainingMs: Math.round(Number(answer.remainingMs) / 60_000) }
}

describe('The model of a server, and the scripts', () => {
  it('answer the same to 600 steps', async () => {
    const [node, model] = [openNode(), openModel()]
    expect(await node.admit('admit')).toBe('new')
    model.admit()
    for (const resource of ['a', 'b']) {
      const ballot = { resource, requestId: 'first/1', ttlMs: LONG_MS, meta: '{}' }
      for (const one of [node, model]) {
        await one.vote(ballot)
        expect(await one.raise(ballot, String(AHEAD).padStart(20, '0'))).toBe(true)
        expect(await one.withdraw(ballot)).toBe(true)
      }
    }
    for (const [index, step] of steps(1, 600).entries()) {
      const [real, modelled] = [await step(node), step(model)]
      expect(comparable(real), `step ${index}`).toEqual(comparable(modelled))
    }
    node.close()
  })

  it('answer the same of a vote that has ended', async () => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    const ballot = { resource: 'short', requestId: 'x/1', ttlMs: SHORT_MS, meta: '{}' }
    for (const one of [node, model]) expect(await one.vote(ballot)).toHaveProperty('kind', 'yes')
    await sleep(SHORT_MS + 50)
    for (const one of [node, model]) {
      expect(await one.renew(ballot, LONG_MS)).toBe(false)
      expect(await one.raise(ballot, '1'.padStart(20, '0'))).toBe(false)
      expect(await one.inspect('short')).toBeUndefined()
      expect(await one.vote({ ...ballot, requestId: 'y/1' })).toHaveProperty('kind', 'yes')
      expect(await one.withdraw(ballot)).toBe(false)
    }
    node.close()
  })

  it('vote for nobody once they were emptied', async () => {
    const [node, model] = [openNode(), openModel()]
    model.admit()
    await admin.flushall()
    model.wipe()
    const ballot = { resource: 'c', requestId: 'x/1', ttlMs: LONG_MS, meta: '{}' }
    const answers = [await node.vote(ballot), model.vote(ballot)]
    for (const answer of answers) expect(answer).toHaveProperty('kind', 'quarantined')
    expect(comparable(answers[0])).toEqual(comparable(answers[1]))
    node.close()
  })
})
