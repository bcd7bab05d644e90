import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from '../namespace/namespace.ts'
import { defineTemplate } from '../namespace/template.ts'
import { decryptSecrets } from '../release/encryption.ts'
import type { ConfigAdmin } from './admin.ts'
import { FleetFixture, SCOPE } from './fleet.fixture.ts'
import { StoreSpy } from './store-spy.fixture.ts'

const PLAIN = 'correct horse battery staple'
const keys = { secretKeys: { k1: new Uint8Array(32).fill(7) }, encryptWith: 'k1' }
const bank = defineNamespace('bank', {
  schema: z.object({ apiKey: z.string().min(8), retries: z.number().default(1) }),
  secrets: ['apiKey'],
})
const postgres = defineTemplate('platform', 'postgres', {
  schema: z.object({ host: z.string(), poolMax: z.number().int().min(1) }),
})
const store = defineNamespace('store', {
  schema: z.object({ db: postgres.schema, ttlMs: z.number().default(1) }),
  options: { db: postgres },
})

let spy: StoreSpy
let fleet: FleetFixture
let platform: ConfigAdmin

beforeEach(() => {
  spy = new StoreSpy(memoryBackend({ clock: new SimulatedClock() }))
  fleet = new FleetFixture(spy.backend)
  platform = fleet.admin({ app: '@platform', namespaces: [], templates: [postgres] })
})

function written(): string {
  const values = spy.commits.flatMap(({ changes }) => changes.flatMap(one => (one.kind === 'put' ? [one.value] : [])))
  return values.map(value => new TextDecoder().decode(value)).join('\n')
}

test('A secret is never written in plain, and reads back with its key.', async () => {
  const admin = fleet.admin({ namespaces: [bank], ...keys })
  await admin.publish([bank.patch({ apiKey: PLAIN })], { requestId: 'r' })
  await admin.publish([bank.patch({ retries: 2 })], { steps: ['1', '100%'] })
  await admin.abort('enough')
  await admin.close()
  expect(spy.commits.length).toBeGreaterThan(2)
  expect(written()).not.toContain(PLAIN)
  expect(written()).not.toContain(Buffer.from(PLAIN).toString('base64'))
  const raw = (await admin.release(1).catch(() => fleet.admin().release(1))).content.namespaces['bank'] ?? {}
  const about = { scope: SCOPE, namespace: 'bank', definition: bank.definition }
  expect(decryptSecrets(raw, about, keys.secretKeys)).toEqual({ kind: 'decrypted', raw: { apiKey: PLAIN } })
})

test('A plain secret without a key is refused, and the error does not show it.', async () => {
  const published = fleet.admin({ namespaces: [bank] }).publish([bank.patch({ apiKey: PLAIN })])
  await expect(published).rejects.toMatchObject({ code: 'HF_INVALID_CONFIG', issues: [{ path: ['apiKey'] }] })
  await expect(published).rejects.not.toThrow(PLAIN)
  expect(spy.commits).toEqual([])
})

test('A secret is judged in plain by its schema, and the error does not show it.', async () => {
  const published = fleet.admin({ namespaces: [bank], ...keys }).publish([bank.patch({ apiKey: 'short' })])
  await expect(published).rejects.toMatchObject({ issues: [{ path: ['apiKey'] }] })
  expect(spy.commits).toEqual([])
})

test('The same secret again changes nothing, repeats a request, and shows in no difference.', async () => {
  const admin = fleet.admin({ namespaces: [bank], ...keys })
  await admin.publish([bank.patch({ apiKey: PLAIN })], { requestId: 'r' })
  expect((await admin.publish([bank.patch({ apiKey: PLAIN })])).isNew).toBe(false)
  await admin.publish([bank.patch({ apiKey: 'another one' })])
  expect((await admin.publish([bank.patch({ apiKey: PLAIN })], { requestId: 'r' })).isNew).toBe(false)
  expect(await admin.diff(1, 2)).toMatchObject([{ path: ['apiKey'], before: '[secret]', after: '[secret]' }])
})

test('Who has no keys can publish what is no secret, beside secrets that are there.', async () => {
  await fleet.admin({ namespaces: [bank], ...keys }).publish([bank.patch({ apiKey: PLAIN })])
  const admin = fleet.admin({ namespaces: [bank] })
  await admin.publish([{ kind: 'patch', namespace: 'other', value: { a: 1 } }])
  expect((await admin.release(-1)).release.number).toBe(2)
})

test('Who has other keys can do so too, but cannot judge what is beside a secret that he cannot read.', async () => {
  await fleet.admin({ namespaces: [bank], ...keys }).publish([bank.patch({ apiKey: PLAIN })])
  const other = { secretKeys: { k2: new Uint8Array(32).fill(9) }, encryptWith: 'k2' }
  const admin = fleet.admin({ namespaces: [bank], ...other })
  await admin.publish([{ kind: 'patch', namespace: 'other', value: { a: 1 } }])
  await expect(admin.publish([bank.patch({ retries: 2 })])).rejects.toMatchObject({ issues: [{ path: ['apiKey'] }] })
})

test('A chosen option is pinned as its layer has it, and stays so until it is chosen anew.', async () => {
  await platform.publish([postgres.offer({ small: { host: 'db1', poolMax: 5 } })])
  const admin = fleet.admin({ namespaces: [store] })
  await admin.publish([store.patch({ db: 'small' })])
  await platform.publish([postgres.offer({ small: { host: 'db2', poolMax: 5 } })])
  await admin.publish([store.patch({ ttlMs: 2 })])
  const pinned = async (): Promise<unknown> => (await admin.release(-1)).content.options['platform/postgres#small']
  expect(await pinned()).toMatchObject({ release: { number: 1 }, value: { host: 'db1' } })
  await admin.publish([store.patch({ db: 'small' })])
  expect(await pinned()).toMatchObject({ release: { number: 2 }, value: { host: 'db2' } })
})

test('An option that was withdrawn stays with who chose it, and cannot be chosen anew.', async () => {
  await platform.publish([postgres.offer({ small: { host: 'db1', poolMax: 5 }, large: { host: 'db9', poolMax: 50 } })])
  const admin = fleet.admin({ namespaces: [store] })
  await admin.publish([store.patch({ db: 'small' })])
  await platform.publish([postgres.withdraw('small')])
  await admin.publish([store.patch({ db: 'small', ttlMs: 2 })])
  await admin.publish([store.patch({ db: 'large' })])
  expect(Object.keys((await admin.release(-1)).content.options)).toEqual(['platform/postgres#large'])
  await expect(admin.publish([store.patch({ db: 'small' })])).rejects.toThrow(
    'store.db: there is no option "small" of platform/postgres; it offers "large"',
  )
  await admin.rollback({ to: 2 })
  expect(Object.keys((await admin.release(-1)).content.options)).toEqual(['platform/postgres#small'])
})

test('An option of a layer that has published nothing is refused.', async () => {
  await expect(fleet.admin({ namespaces: [store] }).publish([store.patch({ db: 'small' })])).rejects.toMatchObject({
    code: 'HF_INVALID_CONFIG',
    issues: [{ namespace: 'store', path: ['db'], message: expect.stringContaining('it offers none') as string }],
  })
})

test('A layer cannot offer what its template does not allow.', async () => {
  await expect(platform.publish([postgres.offer({ huge: { host: 'db1', poolMax: 0 } })])).rejects.toMatchObject({
    issues: [{ namespace: 'postgres', path: ['huge', 'poolMax'] }],
  })
  expect(() => fleet.admin({ templates: [postgres] })).toThrow(expect.objectContaining({ argument: 'templates' }))
})

test('Who does not know a namespace leaves the options that it chose alone.', async () => {
  await platform.publish([postgres.offer({ small: { host: 'db1', poolMax: 5 } })])
  await fleet.admin({ namespaces: [store] }).publish([store.patch({ db: 'small' })])
  const stranger = fleet.admin({ namespaces: [] })
  await stranger.publish([{ kind: 'patch', namespace: 'other', value: { a: 1 } }])
  expect(Object.keys((await stranger.release(-1)).content.options)).toEqual(['platform/postgres#small'])
})
