import assert from 'node:assert/strict'
import { RESULT_BYTES_MAX } from '../../../ports/idempotency.ts'
import type { IdempotencyCase } from '../idempotency-scene.ts'
import { LONG_MS } from '../idempotency-scene.ts'

const DAY_MS = 86_400_000

/** What a run ended with comes back. */
export const resultCases: readonly IdempotencyCase[] = [
  {
    promise: 'I7',
    name: 'A result comes back byte for byte: every byte, none, and as many as there may be.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const results = [
        Uint8Array.from({ length: 512 }, (_, index) => index % 256),
        new Uint8Array(0),
        Uint8Array.of(0),
        Uint8Array.from({ length: RESULT_BYTES_MAX }, (_, index) => (index * 31) % 256),
        // A part of something larger.
        Uint8Array.from({ length: 64 }, (_, index) => index).subarray(16, 32),
      ]
      for (const result of results) {
        const run = await scene.run(one, scene.key())
        assert.equal(await scene.complete(one, run, '', { result }), 'kept')
        assert.deepEqual((await scene.done(other, run.key)).result, result.slice())
      }
    },
  },
  {
    promise: 'I7',
    name: 'A result that is too large is refused with `HF_INVALID_ARGUMENT`, and the run goes on.',
    body: async scene => {
      const client = await scene.client()
      const run = await scene.run(client, scene.key())
      const large = { result: new Uint8Array(RESULT_BYTES_MAX + 1), failed: false, keepMs: LONG_MS }
      const text = { result: 'text' as unknown as Uint8Array, failed: false, keepMs: LONG_MS }
      const short = { result: new Uint8Array(1), failed: false, keepMs: 999 }
      for (const completion of [large, text, short]) {
        const completed = client.idempotency.complete(run, completion)
        assert.equal(await scene.code(completed, 'a result that cannot be kept'), 'HF_INVALID_ARGUMENT')
      }
      assert.equal(await scene.complete(client, run, 'smaller'), 'kept')
    },
  },
  {
    promise: 'I7',
    name: 'What is done with a result afterwards, by who gave it or got it, does not change it.',
    body: async scene => {
      const client = await scene.client()
      const run = await scene.run(client, scene.key())
      const result = Uint8Array.of(1, 2, 3)
      const completed = scene.complete(client, run, '', { result })
      result.fill(9)
      await completed
      const { result: first } = await scene.done(client, run.key)
      assert.deepEqual(first, Uint8Array.of(1, 2, 3))
      first.fill(7)
      assert.deepEqual((await scene.done(client, run.key)).result, Uint8Array.of(1, 2, 3))
    },
  },
  {
    promise: 'I7',
    name: 'A result says whether it is that of a failure, and when it came.',
    body: async scene => {
      const client = await scene.client()
      for (const failed of [true, false]) {
        const run = await scene.run(client, scene.key())
        await scene.complete(client, run, 'x', { failed })
        const done = await scene.done(client, run.key)
        assert.equal(done.failed, failed)
        assert.ok(Number.isInteger(done.completedAtMs))
        assert.ok(Math.abs(done.completedAtMs - client.clock.wallMs()) < DAY_MS, `It said ${done.completedAtMs}.`)
      }
    },
  },
]
