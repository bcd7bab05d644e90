import { describe, expect, it } from 'vitest'
import { parseAddress, shownAddress } from './address.ts'

describe('the address of a store', () => {
  it('is one of Redis, with a prefix in it or beside it', () => {
    expect(parseAddress('redis://h:6380/2?prefix=shop')).toEqual({
      kind: 'redis',
      url: 'redis://h:6380/2',
      prefix: 'shop',
    })
    expect(parseAddress('rediss://u:p%40x@h:6380', { prefix: 'shop' })).toEqual({
      kind: 'redis',
      url: 'rediss://u:p%40x@h:6380',
      prefix: 'shop',
    })
  })

  it('is one of ZooKeeper, with a root, and credentials beside it', () => {
    expect(parseAddress('zookeeper://a:2181,b:2182/apps/shop', { zookeeperAuth: 'u:p' })).toEqual({
      kind: 'zookeeper',
      connect: 'a:2181,b:2182',
      root: '/apps/shop',
      digest: 'u:p',
    })
    expect(parseAddress('zookeeper://a/')).toMatchObject({ connect: 'a', root: undefined })
  })

  it('is one of PostgreSQL, with a schema, and keeps what the driver knows', () => {
    expect(parseAddress('postgres://u:p@h:5433/db?sslmode=require&schema=shop')).toEqual({
      kind: 'postgres',
      url: 'postgres://u:p@h:5433/db?sslmode=require',
      schema: 'shop',
    })
    expect(parseAddress('postgresql://h/db')).toMatchObject({ kind: 'postgres', schema: undefined })
  })

  it('is refused without being shown when it is none of them', () => {
    for (const text of [
      'mysql://u:hunter2@h',
      'u:hunter2@h',
      '',
      'redis://u:hunter2@h:port',
      'memory://',
      'zookeeper:a',
    ]) {
      expect(() => parseAddress(text)).toThrow('Expected the address of a store to be like redis://')
      expect(() => parseAddress(text)).not.toThrow(/hunter2/)
    }
  })

  it('is refused with credentials where it has no place for them', () => {
    expect(() => parseAddress('zookeeper://u:hunter2@a:2181')).toThrow('HOLDFAST_ZOOKEEPER_AUTH=user:password has them')
    expect(() => parseAddress('zookeeper://u:hunter2@a:2181')).not.toThrow(/hunter2/)
  })

  it('is refused with a prefix where there is none', () => {
    expect(() => parseAddress('postgres://h/db', { prefix: 'x' })).toThrow('--prefix is for Redis')
  })

  it('is shown without its password', () => {
    const addresses = [
      'redis://u:hunter2@h:6380/2',
      'postgres://u:hunter2@h/db?password=hunter2',
      'zookeeper://a,b/root',
    ]
    expect(addresses.map(text => shownAddress(parseAddress(text, { zookeeperAuth: undefined })))).toEqual([
      'redis://h:6380/2',
      'postgres://h/db',
      'zookeeper://a,b/root',
    ])
  })
})
