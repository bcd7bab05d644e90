import type { Redis } from 'ioredis'
import { Redis as Client } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError, UnsupportedError } from '../errors.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend, redisFence, redisValue } from './index.ts'
import { addressOf } from './driver.ts'

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

function idle(options: object = {}): Redis {
  return new Client({ lazyConnect: true, ...options })
}

describe('redisBackend', () => {
  it.each([
    'redis://127.0.0.1:6379',
    'redis://user:password@host:6380/2',
    'rediss://host',
    'redis://[::1]:6379',
    '/run/redis.sock',
  ])('takes the address %s, and does not connect', async url => {
    const backend = redisBackend({ url })
    expect(backend.health.current).toEqual({ kind: 'connecting' })
    await backend.close()
  })

  it.each([
    ['', '""'],
    ['localhost:6379', '"localhost:6379"'],
    ['http://127.0.0.1:6379', '"http://127.0.0.1:6379"'],
    ['redis://host:99999', '"redis://host:99999"'],
    ['redis//host', '"redis//host"'],
    ['redis://host/orders', '"redis://host/orders"'],
    ['redis://host/-1', '"redis://host/-1"'],
    [5, '5'],
    [null, 'null'],
    [{}, 'an object'],
  ])('refuses the address %j at once', (url, shown) => {
    const error = thrownBy(() => redisBackend({ url: url as string }))
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect(error).toMatchObject({
      argument: 'url',
      message: `Expected \`url\` to be like redis://127.0.0.1:6379 or rediss://host:6380, got ${shown}.`,
    })
  })

  it('does not show the password of an address that it refuses', () => {
    const wrong = [
      'http://user:secret@host',
      'user:secret@host',
      'redis:user:secret@host',
      'redis://u:secret@host/none',
    ]
    for (const url of wrong) {
      const { message } = thrownBy(() => redisBackend({ url })) as Error
      expect([url, message.includes('***@host'), message.includes('secret')]).toEqual([url, true, false])
    }
  })

  it.each([
    [{}, 'url', 'either `url` or `client`, got neither.'],
    [{ url: 'redis://a', client: idle() }, 'url', 'either `url` or `client`, got both.'],
    [undefined, 'redisBackend', 'got undefined.'],
    [null, 'redisBackend', 'got null.'],
    ['redis://127.0.0.1', 'redisBackend', 'got "redis://127.0.0.1": pass `{ url }`.'],
    ['redis://u:s3cret@h', 'redisBackend', 'got "redis://u:***@h": pass `{ url }`.'],
    [{ client: 'redis://u:s3cret@h' }, 'client', 'got "redis://u:***@h".'],
    [{ client: null }, 'client', 'got null.'],
    [{ client: {} }, 'client', 'a Redis client of ioredis, got an object.'],
    [{ client: 'redis://a' }, 'client', 'got "redis://a".'],
    [{ client: idle({ keyPrefix: 'a{b}' }) }, 'client', 'a `keyPrefix` without braces, got "a{b}".'],
    [{ url: 'redis://a', prefix: '' }, 'prefix', 'got "".'],
    [{ url: 'redis://a', prefix: 'a{b}' }, 'prefix', 'no braces, got "a{b}".'],
    [{ url: 'redis://a', claimMs: 199 }, 'claimMs', 'from 200 to 60000 (milliseconds), got 199.'],
    [{ url: 'redis://a', claimMs: '500' }, 'claimMs', 'got "500".'],
    [{ url: 'redis://a', commandTimeoutMs: 0 }, 'commandTimeoutMs', 'from 50 to 60000 (milliseconds), got 0.'],
    [{ url: 'redis://a', commandTimeoutMs: Number.NaN }, 'commandTimeoutMs', 'got NaN.'],
    [{ url: 'redis://a', maxClockSkewMs: -1 }, 'maxClockSkewMs', 'got -1.'],
    [{ url: 'redis://a', host: 'b' }, 'host', 'Unknown option `host` of redisBackend'],
  ])('refuses options that cannot work, in one sentence: case %#', (options, argument, words) => {
    const error = thrownBy(() => redisBackend(options as unknown as RedisBackendOptions))
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument })
    expect((error as Error).message).toContain(words)
  })

  it('takes a Cluster client, unless it reads from replicas', async () => {
    const cluster = Object.assign(Object.create(idle()) as Redis, { isCluster: true, options: {} })
    await redisBackend({ client: cluster }).close()
    const behind = Object.assign(Object.create(idle()) as Redis, { isCluster: true, options: { scaleReads: 'slave' } })
    const error = thrownBy(() => redisBackend({ client: behind }))
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'client' })
    expect((error as Error).message).toBe('Expected `client` to have `scaleReads` \'master\', got "slave".')
  })

  it('takes an option that is undefined for one that was left out', async () => {
    // Seen here: `prefix: undefined` made keys that start with "undefined:".
    const left = {
      prefix: undefined,
      claimMs: undefined,
      commandTimeoutMs: undefined,
      clock: undefined,
      client: undefined,
    }
    const backend = redisBackend({ url: 'redis://127.0.0.1:1', ...left } as unknown as RedisBackendOptions)
    expect(backend.clock.monotonicMs()).toBeGreaterThan(0)
    await backend.close()
  })

  it('is closed without ever having been used, twice', async () => {
    const backend = redisBackend({ url: 'redis://127.0.0.1:1' })
    await Promise.all([backend.close(), backend.close()])
    expect(backend.health.current).toEqual({ kind: 'closed' })
    await expect(backend.ready()).rejects.toMatchObject({ code: 'HF_CLOSED' })
  })
})

describe('redisFence', () => {
  it.each([
    ['redisFence', (cluster: Redis) => redisFence(cluster)],
    ['redisValue', (cluster: Redis) => redisValue(cluster, 'units')],
  ] as const)('and redisValue refuse a Cluster client, and say what to give instead: %s', (name, use) => {
    const cluster = Object.assign(Object.create(idle()) as Redis, { isCluster: true })
    const error = thrownBy(() => use(cluster))
    expect(error).toBeInstanceOf(UnsupportedError)
    expect((error as Error).message).toBe(
      `${name} does not work in a Redis Cluster: give a client of one server instead.`,
    )
  })

  it.each([
    [undefined, {}, 'client'],
    [{}, {}, 'client'],
    [idle({ keyPrefix: '{' }), {}, 'client'],
    [idle(), { prefix: '{}' }, 'prefix'],
    [idle(), { commandTimeoutMs: 1 }, 'commandTimeoutMs'],
    [idle(), { timeout: 1 }, 'timeout'],
    [idle(), 5, 'redisFence'],
  ])('refuses what cannot work: case %#', (client, options, argument) => {
    const error = thrownBy(() => redisFence(client as Redis, options as object))
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument })
  })
})

describe('The address in messages', () => {
  it.each([
    [{ host: 'cache', port: 7_000 }, 'cache:7000'],
    [{ path: '/run/redis.sock' }, '/run/redis.sock'],
    [{}, 'localhost:6379'],
  ])('of %j is %s', (options, address) => {
    expect(addressOf(idle(options))).toBe(address)
  })
})
