import { memoryBackend } from '@holdfast/core/memory'
import { redisBackend } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'

const url = process.env.REDIS_URL
const backend = url ? redisBackend({ url }) : memoryBackend()
const locks = createLocks({ backend })

await locks.using('stock:42', async lease => {
  // Nobody else holds stock:42 now, in any process that uses the same backend.
  console.log(`holding ${lease.resource} with token ${lease.token.value}`)
})
await backend.close()
