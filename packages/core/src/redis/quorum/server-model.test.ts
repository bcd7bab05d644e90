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
import { EventTurns } from './event-turns.ts'
import { voteKey } from './keys.ts'
import { RedisQuorumNode } from './redis-node.ts'
import { NO_TOKEN } from './scripts/cast-vote.ts'

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

function openNode({ url } = server): RedisQuorumNode {
  return new RedisQuorumNode({
    name: 'server',
    clock: systemClock,
    prefix: 'hf',
    commandTimeoutMs: 10_000,
    quarantineMs: QUARANTINE_MS,
    keepMs: 60_000,
    open: () => connectTo(url, () => 0.5),
    admit: () => {},
    turns: new EventTurns(),
    changed: () => {},
  })
}

function openModel(): ServerModel {
  const nowUs = (): number => Math.floor(systemClock.wallMs() * 1_000)
  return new ServerModel({ name: 'server', nowUs, quarantineMs: QUARANTINE_MS, keepMs: 60_000 })
}

/** The token that is proposed to one more request. */
async function proposed(node: ServerModel | QuorumNode, requestId: string): Promise<number> {
  const ballot = { resource: 'tokens', requestId, ttlMs: LONG_MS, meta: '{}', isFenced: true }
  const answer = await node.vote(ballot)
  await node.withdraw(ballot)
  if (answer.kind !== 'yes') throw new Error(`It answered ${answer.kind}.`)
  return Number(answer.token)
}

type Fenced = 'all' | 'none' | 'mixed'
type Step = (node: ServerModel | QuorumNode) => unknown

// Votes, raises, renewals and give-backs of three requests for two resources.
function steps(seed: number, count: number, fenced: Fenced): readonly Step[] {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
  return Array.from({ length: count }, (): Step => {
    const vote = { resource: pick([`${fenced} a`, `${fenced} b`]), requestId: pick(['x/1', 'y/1', 'z/2']) }
    const chance = random.next()
    const isFenced = fenced === 'mixed' ? random.next() < 0.5 : fenced === 'all'
    if (chance < 0.45) return node => node.vote({ ...vote, ttlMs: LONG_MS, meta: '{"by":"me"}', isFenced })
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
  it.each(['all', 'mixed', 'none'] as const)('answer the same to 600 steps, fenced: %s', async fenced => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    for (const resource of fenced === 'none' ? [] : [`${fenced} a`, `${fenced} b`]) {
      const ballot = { resource, requestId: 'first/1', ttlMs: LONG_MS, meta: '{}', isFenced: true }
      for (const one of [node, model]) {
        await one.vote(ballot)
        expect(await one.raise(ballot, String(AHEAD).padStart(20, '0'))).toBe(true)
        expect(await one.withdraw(ballot)).toBe(true)
      }
    }
    for (const [index, step] of steps(1, 600, fenced).entries()) {
      const [real, modelled] = [await step(node), step(model)]
      expect(comparable(real), `step ${index}`).toEqual(comparable(modelled))
    }
    node.close()
  })

  it('answer the same of a vote that has ended', async () => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    const ballot = { resource: 'short', requestId: 'x/1', ttlMs: SHORT_MS, meta: '{}', isFenced: true }
    for (const one of [node, model]) expect(await one.vote(ballot)).toHaveProperty('kind', 'yes')
    await sleep(SHORT_MS + 50)
    for (const one of [node, model]) {
      expect(await one.renew(ballot, LONG_MS)).toBe(false)
      expect(await one.raise(ballot, '1'.padStart(20, '0'))).toBe(true)
      expect(await one.inspect('short')).toBeUndefined()
      expect(await one.vote({ ...ballot, requestId: 'y/1' })).toHaveProperty('kind', 'yes')
      expect(await one.raise(ballot, '1'.padStart(20, '0'))).toBe(false)
      expect(await one.withdraw(ballot)).toBe(false)
    }
    node.close()
  })

  it('propose no token below the clock, also where they were set back', async () => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    const before = model.snapshot()
    for (const one of [node, model]) {
      const first = await proposed(one, 'x/1')
      expect(await proposed(one, 'y/1')).toBeGreaterThan(first)
    }
    // Clocks are read in milliseconds, or in microseconds, and not at the same moment.
    const aboutNowUs = (systemClock.wallMs() - 1_000) * 1_000
    await admin.set(voteKey('hf', 'tokens'), '7'.padStart(20, '0'), 'PX', LONG_MS)
    model.restart(before)
    model.admit()
    for (const one of [node, model]) expect(await proposed(one, 'z/1')).toBeGreaterThan(aboutNowUs)
    node.close()
  })

  it('keep nothing of a vote without a token once it is given back, and the register of one with', async () => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    const ballot = { resource: 'plain', requestId: 'x/1', ttlMs: LONG_MS, meta: '{}', isFenced: false }
    for (const one of [node, model]) {
      expect(await one.vote(ballot)).toEqual({ kind: 'yes', token: NO_TOKEN })
      expect(await one.withdraw(ballot)).toBe(true)
      expect(await one.withdraw(ballot)).toBe(false)
    }
    expect(await admin.exists(voteKey('hf', 'plain'))).toBe(0)
    for (const one of [node, model]) {
      const proposed = await one.vote({ ...ballot, isFenced: true })
      await one.withdraw(ballot)
      expect(await one.vote({ ...ballot, requestId: 'y/1' })).toEqual(proposed)
    }
    expect(await admin.exists(voteKey('hf', 'plain'))).toBe(1)
    node.close()
  })

  it('make no vote shorter that was extended since, when its question comes late', async () => {
    const [node, model] = [openNode(), openModel()]
    await node.admit('admit')
    model.admit()
    const ballot = { resource: 'late', requestId: 'x/1', ttlMs: SHORT_MS, meta: '{}', isFenced: true }
    for (const one of [node, model]) {
      const first = await one.vote(ballot)
      expect(await one.renew(ballot, LONG_MS)).toBe(true)
      expect(await one.vote(ballot)).toEqual(first)
      expect((await one.inspect('late'))?.remainingMs).toBeGreaterThan(LONG_MS / 2)
    }
    node.close()
  })

  it('vote for nobody once they became a replica, and a master again', async () => {
    const [server, source] = [await startRedis(), await startRedis()]
    const node = openNode(server)
    await node.admit('admit')
    const ballot = { resource: 'd', requestId: 'x/1', ttlMs: LONG_MS, meta: '{}', isFenced: true }
    expect(await node.vote(ballot)).toHaveProperty('kind', 'yes')
    const [own, other] = [new Redis(server.url), new Redis(source.url)]
    // The other one has all that it has, its marker too, and a vote fewer.
    await other.replicaof('127.0.0.1', server.port)
    while (!(await other.info('replication')).includes('master_link_status:up')) await sleep(20)
    await other.replicaof('NO', 'ONE')
    await other.del(voteKey('hf', 'd'))
    await own.replicaof('127.0.0.1', source.port)
    while (!(await own.info('replication')).includes('master_link_status:up')) await sleep(20)
    await own.replicaof('NO', 'ONE')
    expect(await own.get(voteKey('hf', 'd'))).toBeNull()
    expect(await node.vote({ ...ballot, requestId: 'y/1' })).toHaveProperty('kind', 'quarantined')
    own.disconnect()
    other.disconnect()
    node.close()
    await Promise.all([server.stop(), source.stop()])
  }, 60_000)

  it('vote for nobody once they were emptied', async () => {
    const [node, model] = [openNode(), openModel()]
    model.admit()
    await admin.flushall()
    model.wipe()
    const ballot = { resource: 'c', requestId: 'x/1', ttlMs: LONG_MS, meta: '{}', isFenced: true }
    const answers = [await node.vote(ballot), model.vote(ballot)]
    for (const answer of answers) expect(answer).toHaveProperty('kind', 'quarantined')
    expect(comparable(answers[0])).toEqual(comparable(answers[1]))
    node.close()
  })
})
