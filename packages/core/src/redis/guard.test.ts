import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { freePort, startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import type { RedisOptions as AllRedisOptions } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { InvalidArgumentError, RefusedError, StaleTokenError, UnknownOutcomeError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import type { FencedCommands, RedisCommand, RedisFence } from './index.ts'
import { redisBackend, redisFence } from './index.ts'
import { fence as fenceScript } from './scripts/fence.ts'

// The driver's type of a client depends on this one.
type RedisOptions = Omit<AllRedisOptions, 'replyMapping'>

let server: RedisServer
let admin: Redis
let resource: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

beforeEach(() => {
  resource = `stock:${randomUUID()}`
  opened = []
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

function clientOf(options: RedisOptions = {}, port: number = server.port): Redis {
  const client = new Redis({ host: '127.0.0.1', port, ...options })
  client.on('error', () => {})
  opened.push(() => client.disconnect())
  return client
}

async function proxied(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  opened.push(() => proxy.close())
  return proxy
}

function token(value: number | bigint): FencingToken {
  return new FencingToken(BigInt(value))
}

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    value => expect.unreachable(`It did not fail, but answered ${String(value)}.`),
    (error: unknown) => error,
  )
}

function applying(
  fence: RedisFence,
  value: number | bigint,
  ...commands: readonly RedisCommand[]
): Promise<readonly unknown[]> {
  return fence.apply({ resource, token: token(value), commands })
}

describe('A fence in Redis', () => {
  it('runs the commands in order, and answers as Redis does', async () => {
    const fence = redisFence(clientOf())
    const key = `{${resource}}`
    const replies = await applying(
      fence,
      1,
      ['SET', resource, 10],
      ['decrby', resource, '3'],
      ['GET', `${key}:none`],
      ['RPUSH', `${key}:list`, 'a', 'b'],
      ['LRANGE', `${key}:list`, 0, -1],
      ['LRANGE', `${key}:none`, 0, -1],
    )
    expect(replies).toEqual(['OK', 7, null, 2, ['a', 'b'], []])
  })

  it('takes the same token again, and a newer one', async () => {
    const fence = redisFence(clientOf())
    const values = [5, 5, 6].map(value => async () => (await applying(fence, value, ['INCR', resource]))[0])
    const replies: unknown[] = []
    for (const apply of values) replies.push(await apply())
    expect(replies).toEqual([1, 2, 3])
  })

  it('refuses an older token, says which is the newest, and changes nothing', async () => {
    const fence = redisFence(clientOf())
    await applying(fence, 6, ['SET', resource, 'new'])
    const error = await failureOf(applying(redisFence(clientOf()), 5, ['SET', resource, 'old']))
    expect(error).toBeInstanceOf(StaleTokenError)
    expect(error).toMatchObject({ code: 'HF_STALE_TOKEN', resource, token: token(5), newest: token(6) })
    expect(await admin.get(resource)).toBe('new')
  })

  it('compares tokens as numbers, however many digits they have', async () => {
    const fence = redisFence(clientOf())
    await applying(fence, 9, ['SET', resource, 9])
    await applying(fence, 10, ['SET', resource, 10])
    await applying(fence, 2n ** 64n - 1n, ['SET', resource, 'greatest'])
    const error = await failureOf(applying(fence, 2n ** 64n - 2n, ['SET', resource, 'less']))
    expect(error).toMatchObject({ newest: token(2n ** 64n - 1n) })
  })

  it('is raised without a command, and from then on older holders are refused', async () => {
    const fence = redisFence(clientOf())
    await fence.raise({ resource, token: token(7) })
    await fence.raise({ resource, token: token(7) })
    expect(await failureOf(fence.raise({ resource, token: token(6) }))).toBeInstanceOf(StaleTokenError)
    expect(await failureOf(applying(fence, 6, ['SET', resource, 'old']))).toBeInstanceOf(StaleTokenError)
    expect(await admin.get(resource)).toBeNull()
  })

  it('keeps resources apart, also those under one hash tag', async () => {
    const fence = redisFence(clientOf())
    const tag = `{${resource}}`
    await fence.raise({ resource: `a${tag}`, token: token(9) })
    await fence.apply({ resource: `b${tag}`, token: token(1), commands: [['SET', `b${tag}`, 1]] })
    expect(await admin.get(`b${tag}`)).toBe('1')
  })

  it('is bound to a lease as its guard', async () => {
    const client = clientOf()
    const backend = redisBackend({ client, maxClockSkewMs: 0 })
    opened.push(() => backend.close())
    const guard = redisFence(client)
    const lease = await acquireLease(backend, resource, { guard })
    expect(lease.guarantee).toBe('fenced')
    expect(await failureOf(applying(guard, lease.token.value - 1n, ['INCR', resource]))).toBeInstanceOf(StaleTokenError)
    expect(await guard.apply({ resource: lease.resource, token: lease.token, commands: [['INCR', resource]] })).toEqual(
      [1],
    )
  })

  it('works after the server forgot its scripts, for many calls at once', async () => {
    const fence = redisFence(clientOf())
    await fence.raise({ resource, token: token(1) })
    await admin.script('FLUSH')
    const replies = await Promise.all(Array.from({ length: 20 }, () => applying(fence, 1, ['INCR', resource])))
    expect([...replies.flat()].sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
  })

  it('runs a call that others overtook while the server did not know the script', async () => {
    // Seen here: it was taken for one that is sent again, was not run, and answered with the replies of another.
    const client = clientOf()
    const fence = redisFence(client)
    await fence.raise({ resource, token: token(1) })
    await admin.script('FLUSH')
    const evalsha = client.evalsha.bind(client)
    let calls = 0
    client.evalsha = (async (...args: Parameters<typeof evalsha>) => {
      calls += 1
      const answer = evalsha(...args)
      // Another client teaches it to the server between the first and the second.
      if (calls === 1) await answer.catch(() => undefined).then(() => admin.script('LOAD', fenceScript.lua))
      return await answer
    }) as typeof client.evalsha
    const first = applying(fence, 1, ['RPUSH', `{${resource}}`, 'first'])
    await expect.poll(() => admin.script('EXISTS', fenceScript.sha)).toEqual([1])
    const second = applying(fence, 1, ['RPUSH', `{${resource}}`, 'second'])
    expect([...(await Promise.all([first, second])).flat()].sort((a, b) => Number(a) - Number(b))).toEqual([1, 2])
    expect(await admin.llen(`{${resource}}`)).toBe(2)
  })

  it('keeps its records under its own prefix, and that of the client', async () => {
    const fence = redisFence(clientOf({ keyPrefix: 'app:' }), { prefix: 'guard' })
    await applying(fence, 3, ['SET', resource, 'here'], ['MSET', `{${resource}}a`, 1, `{${resource}}b`, 2])
    // Seen here: the commands ran without the client's prefix.
    expect(await admin.mget(`app:${resource}`, `app:{${resource}}a`, `app:{${resource}}b`)).toEqual(['here', '1', '2'])
    expect(await admin.hget(`app:guard:fence:{${resource}}:${resource}`, 't')).toBe(token(3).toString())
    expect(await admin.get(resource)).toBeNull()
  })
})

describe('What cannot be fenced', () => {
  let fence: RedisFence
  let sent: () => number

  beforeEach(async () => {
    const proxy = await proxied()
    fence = redisFence(clientOf({ lazyConnect: true }, proxy.port))
    sent = () => proxy.bytesToServer
  })

  afterEach(() => {
    if (sent() > 0) throw new Error('Something was sent.')
  })

  it.each([
    ['another tag', [['SET', 'other', 1]], 'to carry the hash tag of the resource'],
    ['one key of several with another tag', [['MSET', 'r', 1, 'other', 2]], 'got "other"'],
    ['a source with another tag', [['COPY', 'other', 'r']], 'got "other"'],
    ['keys behind a count', [['ZUNIONSTORE', 'r', 2, 'r', 'other']], 'got "other"'],
    ['the keys of a script', [['EVAL', 'return 1', 1, 'other']], 'got "other"'],
    ['a stream', [['XREAD', 'COUNT', 1, 'STREAMS', 'other', '0']], 'got "other"'],
  ])('is a command on a key with %s', async (_what, commands, words) => {
    const error = await failureOf(
      fence.apply({ resource: 'r', token: token(1), commands } as unknown as FencedCommands),
    )
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'commands' })
    expect((error as Error).message).toContain(words)
  })

  it.each([
    [[]],
    [undefined],
    [null],
    ['SET r 1'],
    [['SET', 'r', '1']],
    [[[]]],
    [[[5, 'r']]],
    [[['']]],
    [[['SET', 'r', null]]],
    [[['SET', 'r', {}]]],
    [[['PING']]],
    [[['FLUSHALL']]],
    [[['NOSUCHCOMMAND', 'r']]],
    [Array.from({ length: 101 }, () => ['INCR', 'r'])],
  ])('is what is no command, or has no key: case %#', async commands => {
    const given = { resource: 'r', token: token(1), commands } as unknown as FencedCommands
    expect(await failureOf(fence.apply(given))).toBeInstanceOf(InvalidArgumentError)
  })

  it.each([
    [[], 'Expected `commands` to be 1 to 100 arrays like', 'got an array of 0.'],
    [['SET', 'r', '1'], 'Expected `commands[0]` to be an array like', 'got "SET".'],
    [
      [
        ['GET', 'r'],
        [5, 'r'],
      ],
      'Expected `commands[1][0]` to be the name of a command',
      'got 5.',
    ],
    [[['SET', 'r', undefined]], 'Expected `commands[0][2]` to be text or a finite number', 'got undefined.'],
    [[['SET', 'r', 5n]], 'Expected `commands[0][2]` to be text or a finite number', 'got 5n.'],
    // Seen here: it was stored as the text "NaN".
    [
      [
        ['GET', 'r'],
        ['SET', 'r', Number.NaN],
      ],
      'Expected `commands[1][2]` to be text or a finite number',
      'got NaN.',
    ],
    [[['SET', 'r', Infinity]], 'Expected `commands[0][2]` to be text or a finite number', 'got Infinity.'],
    [[['SETT', 'r', 1]], 'Expected `commands[0]` to be a command that ioredis knows', 'got "SETT".'],
    [
      [
        ['GET', 'r'],
        ['AUTH', 's3cret'],
      ],
      'Expected `commands[1]` to be a command with a key',
      'got "AUTH".',
    ],
  ])('is said with the place and the value seen: case %#', async (commands, expected, got) => {
    const given = { resource: 'r', token: token(1), commands } as unknown as FencedCommands
    const { message } = (await failureOf(fence.apply(given))) as Error
    expect([message.startsWith(expected), message.endsWith(got), message]).toEqual([true, true, message])
  })

  it('is a promise of a lease', async () => {
    const given = Promise.resolve({ resource: 'r', token: token(1), commands: [['INCR', 'r']] })
    const error = await failureOf(fence.apply(given as unknown as FencedCommands))
    expect(error).toMatchObject({
      message: 'Expected a lease, or { resource, token }, got a promise (did you forget await?).',
    })
  })

  it.each([
    ['resource', { resource: '', token: token(1) }],
    ['resource', { resource: 'a\nb', token: token(1) }],
    ['token', { resource: 'r', token: 5 }],
    ['token', { resource: 'r', token: '00000000000000000005' }],
    ['token', { resource: 'r', token: undefined }],
  ])('is a bad %s', async (argument, fenced) => {
    const given = { ...fenced, commands: [['INCR', 'r']] } as unknown as FencedCommands
    expect(await failureOf(fence.apply(given))).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument })
    expect(await failureOf(fence.raise(given))).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument })
  })
})

describe('A command that fails', () => {
  it('is a refusal with what Redis said, and what ran before it stays', async () => {
    const fence = redisFence(clientOf())
    const key = `{${resource}}`
    const error = await failureOf(
      applying(fence, 1, ['SET', `${key}:a`, 1], ['LPUSH', `${key}:a`, 2], ['SET', `${key}:b`, 1]),
    )
    expect(error).toBeInstanceOf(RefusedError)
    // Seen here: it did not say which of them, nor that the first one stays.
    expect((error as Error).message).toBe(
      `Redis refused \`commands[1]\` (LPUSH "${key}:a"): WRONGTYPE Operation against a key holding the wrong kind of value.` +
        ' What the commands before it changed stays.',
    )
    expect([await admin.get(`${key}:a`), await admin.get(`${key}:b`)]).toEqual(['1', null])
  })

  it('is named also where it is none for scripts', async () => {
    const { message } = (await failureOf(applying(redisFence(clientOf()), 1, ['WATCH', resource]))) as Error
    expect(message).toBe(
      `Redis refused \`commands[0]\` (WATCH "${resource}"): ERR This Redis command is not allowed from script.`,
    )
  })

  it('does not keep later ones from being run', async () => {
    const fence = redisFence(clientOf())
    await failureOf(applying(fence, 1, ['INCR', resource, 'too', 'many']))
    expect(await applying(fence, 1, ['INCR', resource])).toEqual([1])
  })

  it('for want of permission is refused, and nothing is changed', async () => {
    await admin.acl('SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@read', '+@connection')
    const error = await failureOf(
      applying(redisFence(clientOf({ username: 'reader', password: 'secret' })), 1, ['SET', resource, 1]),
    )
    expect(error).toMatchObject({ code: 'HF_REFUSED' })
    expect((error as Error).message).toMatch(/NOPERM|No permissions/i)
    expect(await admin.exists(resource)).toBe(0)
  })

  it('for want of permission is run once it is given', async () => {
    await admin.acl('SETUSER', 'late', 'on', '>secret', '~*', '&*', '+@read', '+@connection')
    const fence = redisFence(clientOf({ username: 'late', password: 'secret' }))
    expect(await failureOf(applying(fence, 1, ['SET', resource, 1]))).toMatchObject({ code: 'HF_REFUSED' })
    await admin.acl('SETUSER', 'late', '+@all')
    expect(await applying(fence, 1, ['SET', resource, 1])).toEqual(['OK'])
  })
})

describe('A write whose reply was lost', () => {
  it.each([0, 3, 10])(
    'is run once, and its replies are told, when the driver sends it again (cut after %i bytes)',
    async bytes => {
      const proxy = await proxied()
      const fence = redisFence(clientOf({}, proxy.port), { commandTimeoutMs: 30_000 })
      const key = `{${resource}}`
      await fence.raise({ resource, token: token(1) })
      await admin.set(`${key}:big`, '1234567890123456')
      proxy.cutMidReply(bytes)
      const replies = await applying(
        fence,
        1,
        ['INCR', resource],
        ['SET', `${key}:a`, 'x'],
        ['INCR', `${key}:big`],
        ['GET', `${key}:none`],
        ['LRANGE', `${key}:none`, 0, -1],
        ['HSET', `${key}:h`, 'f', 'wäre "so"\n'],
        ['HMGET', `${key}:h`, 'f', 'g'],
      )
      // Seen here: { ok: 'OK' } for 'OK', 14 digits of a number, and {} for an empty list.
      expect(replies).toEqual([1, 'OK', 1_234_567_890_123_457, null, [], 1, ['wäre "so"\n', null]])
      expect([await admin.get(resource), proxy.accepted]).toEqual(['1', 2])
    },
  )

  it('is run once each, when many were on their way, and nobody gets the replies of another', async () => {
    const proxy = await proxied()
    const fence = redisFence(clientOf({}, proxy.port), { commandTimeoutMs: 30_000 })
    await fence.raise({ resource, token: token(1) })
    proxy.cutMidReply(0)
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => applying(fence, 1, ['INCR', resource])))
    expect(await admin.get(resource)).toBe('10')
    // Seen here: all that were sent again answered with the replies of the last one.
    const replies = all.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
    expect(new Set(replies).size).toBe(replies.length)
    const reasons = all.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : []))
    expect(reasons.every(reason => reason instanceof UnknownOutcomeError)).toBe(true)
  })

  it('and that had failed is not taken for one that was run', async () => {
    const proxy = await proxied()
    const fence = redisFence(clientOf({}, proxy.port), { commandTimeoutMs: 30_000 })
    expect(await applying(fence, 1, ['SET', resource, 'text'])).toEqual(['OK'])
    proxy.cutMidReply(0)
    // Seen here: it answered with the replies of the call before.
    const error = await failureOf(applying(fence, 1, ['INCR', resource]))
    expect(error).toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    expect((error as Error).message).toContain('was run once, and what became of it was lost')
  })

  it('is of unknown outcome when the driver does not send it again', async () => {
    const proxy = await proxied()
    const fence = redisFence(clientOf({ autoResendUnfulfilledCommands: false }, proxy.port), {
      commandTimeoutMs: 5_000,
    })
    await fence.raise({ resource, token: token(1) })
    proxy.cutMidReply(0)
    const error = await failureOf(applying(fence, 1, ['INCR', resource]))
    expect(error).toBeInstanceOf(UnknownOutcomeError)
    expect(await admin.get(resource)).toBe('1')
  })

  it('is of unknown outcome when the link stays silent', async () => {
    const proxy = await proxied()
    const fence = redisFence(clientOf({}, proxy.port), { commandTimeoutMs: 2_000 })
    await fence.raise({ resource, token: token(1) })
    proxy.hold({ direction: 'to-client' })
    const error = await failureOf(applying(fence, 1, ['INCR', resource]))
    expect(error).toBeInstanceOf(UnknownOutcomeError)
    expect((error as Error).message).toContain(
      'No answer came to a fenced write, which may have been applied: Redis at ',
    )
    proxy.heal()
  })

  it('is just unavailable when it was never sent', async () => {
    const port = await freePort()
    const fence = redisFence(clientOf({ retryStrategy: () => 50 }, port), { commandTimeoutMs: 200 })
    expect(await failureOf(applying(fence, 1, ['INCR', resource]))).toMatchObject({ code: 'HF_UNAVAILABLE' })
  })

  it('is just closed when the client had ended before', async () => {
    const client = clientOf()
    client.disconnect()
    await expect.poll(() => client.status).toBe('end')
    expect(await failureOf(applying(redisFence(client), 1, ['INCR', resource]))).toMatchObject({ code: 'HF_CLOSED' })
  })
})

describe("The user's client of a fence", () => {
  it('keeps the same few listeners, however many fences are made on it', async () => {
    const client = clientOf()
    const listeners = (): number => client.eventNames().reduce((sum, event) => sum + client.listenerCount(event), 0)
    await client.ping()
    const before = listeners()
    for (let count = 0; count < 20; count += 1) await redisFence(client).raise({ resource, token: token(1) })
    expect(listeners() - before).toBeLessThanOrEqual(4)
  })

  it.each([
    ['with numbers as text', { stringNumbers: true }, '1'],
    ['with its own pipelining', { enableAutoPipelining: true }, 1],
    ['without an offline queue', { enableOfflineQueue: false }, 1],
    ['in RESP2', { protocol: 2 }, 1],
  ] as const)('is used %s', async (_what, options, reply) => {
    const fence = redisFence(clientOf(options))
    expect(await applying(fence, 1, ['INCR', resource])).toEqual([reply])
    expect(await failureOf(applying(fence, 0, ['INCR', resource]))).toBeInstanceOf(StaleTokenError)
  })
})
