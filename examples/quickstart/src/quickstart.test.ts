import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startRedis } from '@holdfast/scripts/servers'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const FIRST = fileURLToPath(new URL('../main.js', import.meta.url))
const FENCED = fileURLToPath(new URL('../dist/fenced-write.js', import.meta.url))

async function outputOf(file: string, variables: Record<string, string>): Promise<string> {
  const { REDIS_URL: _, ...env } = process.env
  const { stdout, stderr } = await run(process.execPath, [file], { env: { ...env, ...variables }, timeout: 15_000 })
  expect(stderr).toBe('')
  return stdout
}

test('the first program takes a lock in memory, and ends by itself', async () => {
  expect(await outputOf(FIRST, {})).toBe('holding stock:42 with token 1\n')
})

test('the first program takes the same lock on Redis', async () => {
  const redis = await startRedis()
  try {
    expect(await outputOf(FIRST, { REDIS_URL: redis.url })).toMatch(/^holding stock:42 with token \d{16}\n$/)
  } finally {
    await redis.stop()
  }
})

test('the second program writes to Redis through the fence', async () => {
  const redis = await startRedis()
  try {
    expect(await outputOf(FENCED, { REDIS_URL: redis.url })).toBe('9 left, written under a fenced lease\n')
    expect(await outputOf(FENCED, { REDIS_URL: redis.url })).toBe('8 left, written under a fenced lease\n')
  } finally {
    await redis.stop()
  }
})
