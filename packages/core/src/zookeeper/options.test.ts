import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from '../errors.ts'
import { parseConnectString } from './connect-string.ts'
import type { ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'

function refusal(options: unknown): unknown {
  try {
    zookeeperBackend(options as ZooKeeperBackendOptions)
  } catch (error) {
    return error
  }
  return undefined
}

describe('parseConnectString', () => {
  it.each([
    ['127.0.0.1:2181', [['127.0.0.1', 2181]], ''],
    ['zk', [['zk', 2181]], ''],
    [
      'a:1,b:2, c:3',
      [
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ],
      '',
    ],
    ['a:1/', [['a', 1]], ''],
    [
      'a:1,b/apps/shop',
      [
        ['a', 1],
        ['b', 2181],
      ],
      '/apps/shop',
    ],
    ['[::1]:2181', [['::1', 2181]], ''],
    [
      '[fe80::1%eth0],[::2]:7/x',
      [
        ['fe80::1%eth0', 2181],
        ['::2', 7],
      ],
      '/x',
    ],
  ])('reads %j', (connect, servers, chroot) => {
    const target = parseConnectString(connect)
    expect(target.servers.map(({ host, port }) => [host, port])).toEqual(servers)
    expect(target.chroot).toBe(chroot)
  })

  it.each([
    '',
    ' ',
    ',',
    'a:1,',
    'a:0',
    'a:65536',
    'a:x',
    'a:1:2',
    '::1',
    'zk://a',
    'a b:1',
    '/x',
    'a:1//x',
    'a:1/x/',
    'a:1/../x',
    7,
    null,
  ])('refuses %j with the value seen', connect => {
    expect(() => parseConnectString(connect)).toThrow(/^Expected `connect` to be .*, got /)
  })

  it('says how an IPv6 address is written', () => {
    expect(() => parseConnectString('::1:2181')).toThrow('an IPv6 address stands in brackets')
  })
})

describe('zookeeperBackend', () => {
  const connect = '127.0.0.1:1'

  it('does no I/O and holds nothing until it is used', async () => {
    const backend = zookeeperBackend({ connect })
    expect(backend.kind).toBe('zookeeper')
    expect(backend.leases.renewal).toBe('session')
    expect(backend.leases.guarantee).toBe('lease')
    expect(backend.health.current).toEqual({ kind: 'connecting' })
    await backend.close()
    expect(backend.health.current).toEqual({ kind: 'closed' })
  })

  it.each([
    [undefined, 'zookeeperBackend'],
    [{}, 'Expected `connect`'],
    [{ connect, sesionTimeoutMs: 1 }, 'Unknown option `sesionTimeoutMs` of zookeeperBackend'],
    [
      { connect, sessionTimeoutMs: Number.NaN },
      'Expected `sessionTimeoutMs` to be an integer from 100 to 3600000 (milliseconds), got NaN.',
    ],
    [{ connect, sessionTimeoutMs: 99 }, 'got 99.'],
    [{ connect, sessionTimeoutMs: '10000' }, 'got "10000".'],
    [
      { connect, operationTimeoutMs: 0 },
      'Expected `operationTimeoutMs` to be an integer from 50 to 60000 (milliseconds), got 0.',
    ],
    [{ connect, naming: 'madelson' }, `Expected \`naming\` to be 'curator' or 'kazoo', got "madelson".`],
    [{ connect, root: 'holdfast' }, 'Expected `root` to be a path like /holdfast'],
  ])('refuses %j in a full sentence', (options, sentence) => {
    const error = refusal(options)
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect((error as Error).message).toContain(sentence)
  })
})
