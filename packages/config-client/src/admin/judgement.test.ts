import { generateKeyPairSync } from 'node:crypto'
import { memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from '../namespace/namespace.ts'
import { checkSignature } from '../release/signature.ts'
import type { AuthorizationRequest } from './admin.ts'
import { FleetFixture, SCOPE, checkout } from './fleet.fixture.ts'
import { StoreSpy } from './store-spy.fixture.ts'

let spy: StoreSpy
let fleet: FleetFixture

beforeEach(() => {
  spy = new StoreSpy(memoryBackend({ clock: new SimulatedClock() }))
  fleet = new FleetFixture(spy.backend)
})

const strict = defineNamespace('strict', {
  schema: z.object({ limit: z.number(), upstream: z.string().default('orders') }),
  dependencies: ['upstream'],
  maxBytes: 200,
  invariants: [(next, previous) => next.limit <= (previous?.limit ?? 10) * 4 || 'more than four times as much'],
})

for (const [what, edit, issue] of [
  ['its schema refuses', checkout.patch({ timeoutMs: 10 }), { namespace: 'checkout', path: ['timeoutMs'] }],
  ['an invariant refuses', strict.patch({ limit: 41 }), { path: [], message: 'more than four times as much' }],
  [
    'is a dependency with an address',
    strict.patch({ limit: 1, upstream: 'http://10.0.0.1:80' }),
    { path: ['upstream'] },
  ],
  ['is too large for its namespace', strict.patch({ limit: 1, upstream: 'x'.repeat(300) }), { namespace: 'strict' }],
  ['has a key that breaks the rules', strict.patch({ limit: 1, '1st': 1 } as never), { path: ['1st'] }],
] as const) {
  test(`A value that ${what} is refused before anything is written.`, async () => {
    const admin = fleet.admin({ namespaces: [checkout, strict] })
    await expect(admin.publish([edit])).rejects.toMatchObject({
      code: 'HF_INVALID_CONFIG',
      issues: [expect.objectContaining(issue)],
    })
    expect(spy.commits).toEqual([])
  })
}

test('An invariant judges what is published by what was, and one namespace that is refused keeps all from being published.', async () => {
  const admin = fleet.admin({ namespaces: [checkout, strict] })
  await admin.publish([strict.patch({ limit: 40 })])
  await admin.publish([strict.patch({ limit: 160 })])
  spy.reset()
  await expect(admin.publish([checkout.patch({ retries: 1 }), strict.patch({ limit: 641 })])).rejects.toThrow(
    'It cannot be published: strict: more than four times as much.',
  )
  expect(spy.commits).toEqual([])
})

test('A namespace that needs a value can be published later than the others.', async () => {
  const admin = fleet.admin({ namespaces: [checkout, strict] })
  await admin.publish([checkout.patch({ retries: 1 })])
  await admin.publish([strict.patch({ limit: 1 })])
  await expect(admin.publish([strict.remove()])).rejects.toMatchObject({ issues: [{ path: ['limit'] }] })
})

test('A release that would not fit into a record is refused, and names its largest namespace.', async () => {
  const half = 'x'.repeat(300_000)
  const edits = ['one', 'two'].map(namespace => ({ kind: 'patch', namespace, value: { half } }) as const)
  await expect(fleet.admin().publish(edits)).rejects.toMatchObject({
    issues: [
      { message: expect.stringMatching(/^a release has at most 524288 bytes, this one has 600\d\d\d/) as string },
    ],
  })
  expect(spy.commits).toEqual([])
})

const cycle: Record<string, unknown> = {}
cycle['self'] = cycle

for (const [what, value, message] of [
  ['a function', { timeoutMs: () => 1 }, 'What was given for `checkout.timeoutMs` is not JSON: a function.'],
  ['undefined', { timeoutMs: undefined }, 'What was given for `checkout.timeoutMs` is not JSON: undefined.'],
  ['a BigInt', { timeoutMs: 1n }, 'What was given for `checkout.timeoutMs` is not JSON: 1n.'],
  ['NaN', { timeoutMs: Number.NaN }, 'What was given for `checkout.timeoutMs` is not JSON: NaN.'],
  ['a Date', { timeoutMs: new Date(0) }, 'What was given for `checkout.timeoutMs` is not JSON: an object of a class.'],
] as const) {
  test(`An edit with ${what} is refused in a sentence.`, async () => {
    await expect(fleet.admin().publish([checkout.patch(value as never)])).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message,
    })
    expect(spy.reads).toEqual([])
  })
}

test('An edit that has itself in it is refused in a sentence.', async () => {
  await expect(fleet.admin().publish([checkout.patch(cycle as never)])).rejects.toThrow('is nested more than 32 deep')
})

test('Edits that throw when they are read are refused in a sentence.', async () => {
  const throwing = { ownKeys: (): never => expect.fail('no keys for you') }
  const revoked = Proxy.revocable<object>({}, {})
  revoked.revoke()
  const admin = fleet.admin()
  for (const value of [new Proxy({}, throwing), { timeoutMs: new Proxy({}, throwing) }, revoked.proxy]) {
    for (const kind of ['patch', 'replace'] as const) {
      await expect(admin.publish([{ kind, namespace: 'checkout', value: value as never }])).rejects.toMatchObject({
        code: 'HF_INVALID_ARGUMENT',
        message: expect.stringMatching(/^The edits cannot be read: .*[^.]\.$/) as string,
        cause: expect.any(Error) as Error,
      })
    }
  }
  expect(spy.commits).toEqual([])
})

for (const [edits, message] of [
  ['all of it', 'Expected `edits` to be a list of at most 100 edits, got "all of it".'],
  [[null], "Expected an edit to be a 'patch', a 'replace' or a 'remove', got null."],
  [[{ kind: 'erase', namespace: 'x' }], "Expected an edit to be a 'patch', a 'replace' or a 'remove', got \"erase\"."],
  [[{ kind: 'patch', namespace: 'x', value: [] }], 'Expected the patch of "x" to be an object, got an array of 0.'],
] as const) {
  test(`Edits that are none are refused: ${JSON.stringify(edits)}.`, async () => {
    await expect(fleet.admin().publish(edits as never)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', message })
  })
}

test('Who may not publish writes nothing, and is told why; the hook sees what is to change.', async () => {
  const asked: AuthorizationRequest[] = []
  const answers: (boolean | string)[] = [true, false, 'not on Fridays']
  const admin = fleet.admin({
    authorize: async request => {
      asked.push(request)
      return answers.shift() ?? true
    },
  })
  await admin.publish([checkout.patch({ timeoutMs: 800 })])
  spy.reset()
  const edits = [checkout.patch({ timeoutMs: 900 })]
  await expect(admin.publish(edits, { author: 'eve' })).rejects.toMatchObject({
    code: 'HF_FORBIDDEN',
    message: expect.stringMatching(/^eve may not publish in shop:prod/) as string,
  })
  expect(spy.commits).toEqual([])
  expect(asked[1]).toMatchObject({
    ...SCOPE,
    action: 'publish',
    author: 'eve',
    plan: { head: { number: 1 }, changes: [{ path: ['timeoutMs'], before: 800, after: 900 }] },
  })
})

test('Each kind of write asks whether it may be.', async () => {
  const actions: string[] = []
  const author = fleet.admin()
  await author.publish([checkout.patch({ timeoutMs: 800 })])
  await author.publish([checkout.patch({ timeoutMs: 900 })])
  const admin = fleet.admin({
    authorize: ({ action }) => {
      actions.push(action)
      return 'no'
    },
  })
  spy.reset()
  const tried = [
    () => admin.publish([checkout.patch({ timeoutMs: 700 })]),
    () => admin.rollback({ to: 1 }),
    () => admin.promote(),
    () => admin.abort('x'),
    () => admin.resume(),
  ]
  for (const attempt of tried) await expect(attempt()).rejects.toMatchObject({ code: 'HF_FORBIDDEN' })
  expect(actions).toEqual(['publish', 'rollback', 'promote', 'abort', 'resume'])
  expect(spy.commits).toEqual([])
})

test('A signed release holds before the check of those who follow it, for its scope alone.', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const admin = fleet.admin({ signWith: { keyId: 'ci', privateKey } })
  const { release } = await admin.publish([checkout.patch({ timeoutMs: 800 })])
  const stored = (await fleet.admin().release(1)).release
  const trustedKeys = { ci: publicKey }
  expect(stored).toEqual(release)
  expect(() => checkSignature(stored, { scope: SCOPE, trustedKeys })).not.toThrow()
  const elsewhere = { ...SCOPE, env: 'test' }
  expect(() => checkSignature(stored, { scope: elsewhere, trustedKeys })).toThrow('does not hold')
})

for (const [options, argument] of [
  [{ backend: {} }, 'backend'],
  [{ app: 'a:b' }, 'app'],
  [{ historyMax: 0 }, 'historyMax'],
  [{ encryptWith: 'k' }, 'encryptWith'],
  [{ namespaces: [checkout, checkout] }, 'namespaces'],
  [{ namespaces: ['checkout'] }, 'namespaces'],
  [{ authorize: true }, 'authorize'],
  [{ sighWith: {} }, 'sighWith'],
] as const) {
  test(`An admin is not opened with a bad ${argument}: ${JSON.stringify(Object.keys(options))}.`, () => {
    expect(() => fleet.admin(options as never)).toThrow(expect.objectContaining({ argument }))
  })
}
