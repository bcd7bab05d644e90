import { memoryBackend } from '@holdfast/core/memory'
import { expect, it } from 'vitest'
import { tellStory } from './story.ts'

it('tells of changes that are applied, one that is refused, a roll back, and one that waits for a restart', async () => {
  const lines: string[] = []
  await using backend = memoryBackend()
  await tellStory(backend, line => lines.push(line.trim()))
  const text = lines.join('\n')
  expect(text).toContain('debug GET /home')
  expect(text).toContain('none, degraded')
  expect(text).toContain('"poolMax":10')
  expect(text).toContain(
    'release 5 is refused, applied by 0, shop-1: prepare of "pool": the database takes 12 connections, not 20',
  )
  expect(text).toContain('release 6 is settled, applied by 1')
  expect(text).toContain('waiting for a restart: port')
  expect(lines.filter(line => line.includes('"poolMax":20'))).toEqual([])
})
