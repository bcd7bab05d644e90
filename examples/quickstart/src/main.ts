// `npm run quickstart [-- --backend memory|redis]`: runs the programs of this folder, each in a process of its own.
// HOLDFAST_REDIS_URL names a Redis to use.
import { fileURLToPath } from 'node:url'
import { startRedis } from '@holdfast/scripts/servers'
import type { BorrowedRedis } from './borrowed-redis.ts'
import { borrowRedis } from './borrowed-redis.ts'
import { BadOption, chosenBackend } from './chosen-backend.ts'
import { runProgram } from './run-program.ts'

const FIRST = fileURLToPath(new URL('../main.js', import.meta.url))
const FENCED = fileURLToPath(new URL('./fenced-write.js', import.meta.url))
const NAMED = process.env['HOLDFAST_REDIS_URL'] ?? ''

try {
  const backend = chosenBackend(process.argv.slice(2))
  if (backend !== 'redis') await runProgram('main.js, in memory', FIRST)
  if (backend !== 'memory') await runOnRedis(backend === 'redis')
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof BadOption ? 2 : 1
}

async function runOnRedis(isAskedFor: boolean): Promise<void> {
  const server = await redisServer().catch((error: unknown) => {
    if (isAskedFor || NAMED !== '') throw error
    process.stdout.write(
      'Nothing on Redis, for none could be started here: `npm run quickstart -- --backend redis` gets it, or says how.\n',
    )
  })
  if (server === undefined) return
  try {
    await runProgram('main.js, on Redis', FIRST, { REDIS_URL: server.url })
    await runProgram('fenced-write.ts, on Redis', FENCED, { REDIS_URL: server.url })
  } finally {
    await server.stop()
  }
}

// These programs write where they like: under a prefix on a server of the user's, or on one of our own.
function redisServer(): Promise<BorrowedRedis> {
  return NAMED === '' ? startRedis() : borrowRedis(NAMED)
}
