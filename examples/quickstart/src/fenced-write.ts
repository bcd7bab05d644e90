import { Redis } from 'ioredis'
import { redisBackend, redisFence } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'

const client = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379')
try {
  await client.set('stock:42', 10, 'NX')
  await using backend = redisBackend({ client })
  const locks = createLocks({ backend })
  const fence = redisFence(client)

  // The lease ends with the block, whatever happens in it; the guard refuses all older leases from now on.
  await using lease = await locks.acquire('stock:42', { ttlMs: 10_000, waitMs: 5_000, guard: fence })

  const left = Number(await client.get('stock:42'))
  if (left === 0) {
    console.log('sold out')
  } else {
    // The token goes with the write, so Redis itself refuses it should another have been given the lock in the meantime.
    const { resource, token } = lease
    await fence.apply({ resource, token, commands: [['SET', 'stock:42', left - 1]] })
    console.log(`${left - 1} left, written under a ${lease.guarantee} lease`)
  }
} finally {
  client.disconnect()
}
