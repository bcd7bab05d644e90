import { memoryBackend, MemoryWorld } from '@holdfast/core/memory'
import { systemClock } from '@holdfast/core'
import { expect, test } from 'vitest'
import type { ConfigAdmin } from './admin.ts'
import { checkout } from './fleet.fixture.ts'
import { openConfigAdmin } from './open-config-admin.ts'

const ADMINS = 4

function admins(world: MemoryWorld, env: string): readonly ConfigAdmin[] {
  return Array.from({ length: ADMINS }, (_, at) => {
    const backend = memoryBackend({ world })
    return openConfigAdmin({ backend, app: 'shop', env, namespaces: [checkout], author: `admin ${at}` })
  })
}

test('Of four first publishes at once exactly one wins, in each of 200 rounds, and the others are told who.', async () => {
  const world = new MemoryWorld(systemClock)
  for (let round = 0; round < 200; round += 1) {
    const racing = admins(world, `round-${round}`)
    const outcomes = await Promise.allSettled(
      racing.map((admin, at) => admin.publish([checkout.patch({ timeoutMs: 500 + at })], { expectedRevision: 0 })),
    )
    const won = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value.release] : []))
    const lost = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [String(outcome.reason)] : []))
    expect(won).toMatchObject([{ number: 1 }])
    expect(lost.length).toBe(ADMINS - 1)
    for (const reason of lost) expect(reason).toContain(`it is release 1, by ${won[0]?.author}`)
  }
})

async function increment(admin: ConfigAdmin, isCareful: boolean): Promise<void> {
  for (;;) {
    const { head } = await admin.state()
    const timeoutMs = Number(head?.content.namespaces['checkout']?.['timeoutMs'] ?? 50) + 1
    const expectation = isCareful ? { expectedRevision: head?.release.number ?? 0 } : {}
    try {
      await admin.publish([checkout.patch({ timeoutMs })], expectation)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== 'HF_CONFLICT') throw error
    }
  }
}

async function counted(isCareful: boolean): Promise<number> {
  const racing = admins(new MemoryWorld(systemClock), 'prod')
  await Promise.all(
    racing.map(async admin => {
      for (let count = 0; count < 25; count += 1) await increment(admin, isCareful)
    }),
  )
  const { content } = (await racing[0]?.release(-1)) ?? {}
  return Number(content?.namespaces['checkout']?.['timeoutMs']) - 50
}

test('Four admins that read, add one and publish with the release they read lose no update.', async () => {
  expect(await counted(true)).toBe(ADMINS * 25)
})

test('The same without the release they read does lose updates: the test above can fail.', async () => {
  expect(await counted(false)).toBeLessThan(ADMINS * 25)
})

test('Edits of different fields by four admins at once are all there in the end.', async () => {
  const racing = admins(new MemoryWorld(systemClock), 'prod')
  await Promise.all(
    racing.map((admin, at) => admin.publish([{ kind: 'patch', namespace: 'raw', value: { [`key${at}`]: at } }])),
  )
  const { release, content } = (await racing[0]?.release(-1)) ?? {}
  expect(release?.number).toBe(ADMINS)
  expect(content?.namespaces).toEqual({ raw: { key0: 0, key1: 1, key2: 2, key3: 3 } })
})
