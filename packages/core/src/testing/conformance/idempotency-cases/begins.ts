import assert from 'node:assert/strict'
import { AWKWARD_NAMES } from '../awkward-names.ts'
import type { IdempotencyCase } from '../idempotency-scene.ts'
import { ANSWER_MS, LONG_MS } from '../idempotency-scene.ts'

const ROUNDS = 10
const CALLERS = 50
// With a key before it, and in bytes, it still is a name.
const NAME_LENGTH_MAX = 40

/** Who is told to run. */
export const beginCases: readonly IdempotencyCase[] = [
  {
    promise: 'I1',
    name: 'Of 50 begins of one key by two clients at once exactly one runs, and the others are told `in-flight`, 10 times.',
    body: async scene => {
      const clients = await scene.twoClients()
      for (let round = 0; round < ROUNDS; round += 1) {
        const key = scene.key()
        const begins = Array.from({ length: CALLERS }, (_, caller) => {
          const client = clients[caller % 2 === 0 ? 0 : 1]
          return client.idempotency.begin(scene.request(client, key))
        })
        const outcomes = await scene.within(Promise.all(begins), 2 * ANSWER_MS, `${CALLERS} begins`)
        const kinds = outcomes.map(({ kind }) => kind)
        assert.equal(kinds.filter(kind => kind === 'run').length, 1)
        assert.equal(kinds.filter(kind => kind === 'in-flight').length, CALLERS - 1)
      }
    },
  },
  {
    promise: 'I1',
    name: 'Of 50 begins of one key whose run was lost exactly one runs it again, 10 times.',
    body: async scene => {
      const client = await scene.client()
      const keys = Array.from({ length: ROUNDS }, () => scene.key())
      const { leaseMs, slackMs } = scene.harness
      const first = await Promise.all(keys.map(key => scene.run(client, key, { leaseMs })))
      await scene.harness.advance(leaseMs + slackMs)
      for (const { key, fence } of first) {
        const begins = Array.from({ length: CALLERS }, () => client.idempotency.begin(scene.request(client, key)))
        const outcomes = await scene.within(Promise.all(begins), 2 * ANSWER_MS, `${CALLERS} begins`)
        const runs = outcomes.filter(outcome => outcome.kind === 'run')
        assert.equal(runs.length, 1)
        assert.ok((runs[0]?.fence ?? 0n) > fence)
      }
    },
  },
  {
    promise: 'I1',
    name: 'Keys do not touch each other, whatever characters they are of.',
    body: async scene => {
      const client = await scene.client()
      const prefix = scene.key()
      const keys = AWKWARD_NAMES.filter(name => name.length <= NAME_LENGTH_MAX).map(name => `${prefix}${name}`)
      const runs = await Promise.all(keys.map(key => scene.run(client, key)))
      for (const run of runs) assert.equal(await scene.complete(client, run, run.key), 'kept')
      for (const { key } of runs) assert.equal(await scene.result(client, key), key)
    },
  },
  {
    promise: 'I1',
    name: 'A key that stands for another request is a conflict, be that under way, lost or done, and nothing changes.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const running = await scene.run(one, scene.key())
      const done = await scene.run(one, scene.key())
      await scene.complete(one, done, 'first')
      const lost = await scene.lostRun(one, scene.key())
      for (const { key } of [running, done, lost]) {
        assert.deepEqual(await scene.begin(other, key, { fingerprint: 'other' }), { kind: 'conflict' })
        assert.deepEqual(await scene.begin(one, key, { fingerprint: 'Same' }), { kind: 'conflict' })
      }
      assert.equal((await scene.begin(other, running.key)).kind, 'in-flight')
      assert.equal(await scene.result(other, done.key), 'first')
      assert.ok((await scene.run(other, lost.key)).fence > lost.fence)
    },
  },
  {
    promise: 'I1',
    name: 'A key that was given back may stand for another request.',
    body: async scene => {
      const client = await scene.client()
      const first = await scene.run(client, scene.key())
      await scene.release(client, first)
      const second = await scene.run(client, first.key, { fingerprint: 'other' })
      assert.ok(second.fence > first.fence)
    },
  },
  {
    promise: 'I1',
    name: 'What can never be begun is refused with `HF_INVALID_ARGUMENT`.',
    body: async scene => {
      const client = await scene.client()
      const key = scene.key()
      const wrong = [
        { key: '' },
        { key: 'x'.repeat(201) },
        { fingerprint: '' },
        { fingerprint: 'a\nb' },
        { owner: 'me' },
        { leaseMs: 99 },
        { leaseMs: 0.5 },
        { leaseMs: 86_400_001 },
        { keepMs: 999 },
        { keepMs: 31_536_000_001 },
        { onLost: 'ignore' as 'fail' },
      ]
      for (const options of wrong) {
        const begun = client.idempotency.begin(scene.request(client, key, options))
        assert.equal(await scene.code(begun, JSON.stringify(options)), 'HF_INVALID_ARGUMENT')
      }
      const run = await scene.run(client, key, { leaseMs: 86_400_000, keepMs: 31_536_000_000 })
      const none = { ...run, fence: 0n }
      assert.equal(await scene.code(client.idempotency.renew(run, 99), 'a short lease'), 'HF_INVALID_ARGUMENT')
      assert.equal(await scene.code(client.idempotency.renew(none, LONG_MS), 'no fence'), 'HF_INVALID_ARGUMENT')
      assert.equal(await scene.code(client.idempotency.release(none), 'no fence'), 'HF_INVALID_ARGUMENT')
      assert.equal((await scene.begin(client, key)).kind, 'in-flight')
    },
  },
]
