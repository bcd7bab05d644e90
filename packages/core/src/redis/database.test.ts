import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { acquireLease } from '../lease/acquire.ts'
import { redisBackend } from './index.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis({ args: ['--databases', '2'] })
})

afterAll(() => server.stop())

describe('A backend whose address names a database', () => {
  it('keeps its leases there', async () => {
    const backend = redisBackend({ url: `${server.url}/1`, maxClockSkewMs: 0 })
    const there = new Redis(`${server.url}/1`)
    await acquireLease(backend, 'orders', {})
    expect(await there.exists('hf:{orders}')).toBe(1)
    there.disconnect()
    await backend.close()
  })

  it('is refused one that the server does not have (seen: leases in database 0, and nobody was told)', async () => {
    const backend = redisBackend({ url: `${server.url}/2`, maxClockSkewMs: 0 })
    await expect(acquireLease(backend, 'orders', {})).rejects.toMatchObject({
      code: 'HF_REFUSED',
      message: 'Redis refused: ERR DB index is out of range.',
    })
    await backend.close()
  })
})
