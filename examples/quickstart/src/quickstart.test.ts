import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { borrowRedis } from './borrowed-redis.ts'

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

test('the second program sells nothing that is not there', async () => {
  const redis = await startRedis()
  const client = new Redis(redis.url)
  try {
    await client.set('stock:42', 1)
    expect(await outputOf(FENCED, { REDIS_URL: redis.url })).toBe('0 left, written under a fenced lease\n')
    expect(await outputOf(FENCED, { REDIS_URL: redis.url })).toBe('sold out\n')
  } finally {
    client.disconnect()
    await redis.stop()
  }
})

test('on a server of somebody else the programs touch only what is theirs, and nothing of it stays', async () => {
  const redis = await startRedis()
  const client = new Redis(redis.url)
  try {
    await client.set('stock:42', 77)
    const borrowed = await borrowRedis(redis.url)
    await outputOf(FIRST, { REDIS_URL: borrowed.url })
    expect(await outputOf(FENCED, { REDIS_URL: borrowed.url })).toBe('9 left, written under a fenced lease\n')
    await borrowed.stop()
    expect(await client.keys('*')).toEqual(['stock:42'])
    expect(await client.get('stock:42')).toBe('77')
  } finally {
    client.disconnect()
    await redis.stop()
  }
})

test('a named server that does not answer is a sentence', async () => {
  await expect(borrowRedis('redis://127.0.0.1:1')).rejects.toThrow(
    'The Redis that HOLDFAST_REDIS_URL names does not answer.',
  )
})
