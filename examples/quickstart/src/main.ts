// `npm run quickstart [-- --backend memory|redis]`: runs the programs of this folder, each in a process of its own.
import { fileURLToPath } from 'node:url'
import { startRedis } from '@holdfast/scripts/servers'
import { BadOption, chosenBackend } from './chosen-backend.ts'
import { runProgram } from './run-program.ts'

const FIRST = fileURLToPath(new URL('../main.js', import.meta.url))
const FENCED = fileURLToPath(new URL('./fenced-write.js', import.meta.url))

try {
  const backend = chosenBackend(process.argv.slice(2))
  if (backend !== 'redis') await runProgram('main.js, in memory', FIRST)
  if (backend !== 'memory') await runOnRedis(backend === 'redis')
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof BadOption ? 2 : 1
}

async function runOnRedis(isAskedFor: boolean): Promise<void> {
  // One of our own always: these programs write where they like.
  const server = await startRedis().catch((error: unknown) => {
    if (isAskedFor) throw error
    process.stdout.write(`Nothing on Redis: ${String(error)}\n\`npm run quickstart -- --backend redis\` installs it.\n`)
  })
  if (server === undefined) return
  try {
    await runProgram('main.js, on Redis', FIRST, { REDIS_URL: server.url })
    await runProgram('fenced-write.ts, on Redis', FENCED, { REDIS_URL: server.url })
  } finally {
    await server.stop()
  }
}
