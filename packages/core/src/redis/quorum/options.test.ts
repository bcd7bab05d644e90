import { Cluster, Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError, UnsupportedError } from '../../errors.ts'
import type { RedisQuorumOptions } from './options.ts'
import { REDIS_QUORUM_DEFAULTS, checkQuorumOptions } from './options.ts'

const nodes = [6_379, 6_380, 6_381].map(port => ({ url: `redis://127.0.0.1:${port}` }))

function check(options: unknown): void {
  checkQuorumOptions('redisQuorumBackend', options as RedisQuorumOptions)
}

describe('The options of a quorum', () => {
  it('are fine with three, five or seven servers and nothing else', () => {
    const more = Array.from({ length: 7 }, (_, index) => ({ url: `redis://127.0.0.1:${7_000 + index}` }))
    for (const count of [3, 5, 7]) expect(() => check({ nodes: more.slice(0, count) })).not.toThrow()
    expect(() => check({ nodes, ...REDIS_QUORUM_DEFAULTS })).not.toThrow()
  })

  it.each([
    ['no servers at all', {}, 'got undefined'],
    ['two servers', { nodes: nodes.slice(0, 2) }, 'got an array of 2'],
    ['four servers', { nodes: [...nodes, { url: 'redis://127.0.0.1:6382' }] }, 'got an array of 4'],
    ['one server twice', { nodes: [nodes[0], nodes[1], nodes[0]] }, 'nodes[0] and nodes[2]'],
    ['a server with both', { nodes: [nodes[0], nodes[1], { url: 'redis://h', client: {} }] }, '`nodes[2]`'],
    ['a server with neither', { nodes: [nodes[0], nodes[1], {}] }, 'got neither'],
    ['an address that is none', { nodes: [nodes[0], nodes[1], { url: 'http://h' }] }, 'http://h'],
    ['what is no client', { nodes: [nodes[0], nodes[1], { client: {} }] }, 'a Redis client of ioredis'],
    ['a key that nobody reads', { nodes, quarantineMs: 5 }, 'Unknown option `quarantineMs`'],
    ['a TTL of more than a day', { nodes, maxTtlMs: 86_400_001 }, 'got 86400001'],
    ['a skew below 0', { nodes, maxClockSkewMs: -1 }, 'got -1'],
    ['a fencing that is neither true nor false', { nodes, fencing: 'yes' }, 'got "yes"'],
    ['a validity that nobody reaches', { nodes, validityRatioMin: 1 }, 'from 0 to 0.95, got 1'],
    ['a pause of nothing', { nodes, retryMsMax: 0 }, 'got 0'],
    ['a prefix with braces', { nodes, prefix: '{a}' }, 'no braces'],
  ])('are refused with %s', (_, options, message) => {
    expect(() => check(options)).toThrow(InvalidArgumentError)
    expect(() => check(options)).toThrow(message)
  })

  it('are refused with a client of a Cluster or of sentinels', () => {
    const cluster = new Cluster([{ port: 1 }], { lazyConnect: true })
    const behindSentinel = new Redis({ sentinels: [{ port: 1 }], name: 'main', lazyConnect: true })
    for (const client of [cluster, behindSentinel]) {
      expect(() => check({ nodes: [nodes[0], nodes[1], { client }] })).toThrow(UnsupportedError)
      client.disconnect()
    }
  })
})
