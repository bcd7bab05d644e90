import { describe, expect, it } from 'vitest'
import { zookeeperBackend } from './index.ts'

describe('Rates in ZooKeeper', () => {
  it('are refused, in a sentence, without asking a server', async () => {
    await using backend = zookeeperBackend({ connect: '127.0.0.1:1' })
    const quota = { limit: 1, periodMs: 1_000, burst: 1 }
    const take = { key: 'k', quota, cost: 1 }
    const refused = {
      code: 'HF_UNSUPPORTED',
      message: 'The zookeeper backend has no rates: use another backend for them.',
    }
    await expect(backend.rates.take(take)).rejects.toMatchObject(refused)
    await expect(backend.rates.takeAll([take])).rejects.toMatchObject(refused)
    await expect(backend.rates.giveBack('k', quota, 1)).rejects.toMatchObject(refused)
  })
})
