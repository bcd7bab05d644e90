import assert from 'node:assert/strict'
import type { IdempotencyCase } from '../idempotency-scene.ts'
import { ANSWER_MS, LONG_MS } from '../idempotency-scene.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A store that does not answer, and one that is closed. */
export const failureCases: readonly IdempotencyCase[] = [
  {
    promise: 'I5',
    name: 'Over a silent link a begin is `HF_UNAVAILABLE`, and sent again afterwards it is one run.',
    needs: ['silence'],
    body: async scene => {
      const client = await scene.client()
      await scene.run(client, scene.key())
      const heal = await scene.silence(client, 'silence')
      const request = scene.request(client, scene.key())
      assert.equal(await scene.code(client.idempotency.begin(request), 'a begin'), 'HF_UNAVAILABLE')
      await heal()
      assert.equal((await scene.begun(client, request)).kind, 'run')
    },
  },
  {
    promise: 'I5',
    name: 'A completion whose answer does not come is `HF_UNKNOWN_OUTCOME`, happened, and sent again it is `kept`.',
    needs: ['silenceAnswers'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const run = await scene.run(one, scene.key())
      const heal = await scene.silence(one, 'silenceAnswers')
      const completion = { result: bytes('once'), failed: false, keepMs: LONG_MS }
      const completed = one.idempotency.complete(run, completion)
      assert.equal(await scene.code(completed, 'a completion'), 'HF_UNKNOWN_OUTCOME')
      assert.equal(await scene.result(other, run.key), 'once')
      await heal()
      assert.equal(await scene.complete(one, run, 'once'), 'kept')
    },
  },
  {
    promise: 'I5',
    name: 'A begin whose answer did not come runs under its owner, and keeps others off until its lease passes.',
    needs: ['silenceAnswers'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await scene.run(one, scene.key())
      await scene.silence(one, 'silenceAnswers')
      const request = scene.request(one, scene.key(), { leaseMs: LONG_MS })
      assert.equal(await scene.code(one.idempotency.begin(request), 'a begin'), 'HF_UNAVAILABLE')
      assert.equal((await scene.begin(other, request.key)).kind, 'in-flight')
      assert.equal((await scene.begun(other, request)).kind, 'run')
    },
  },
  {
    promise: 'I2',
    name: 'A closed backend rejects every step with `HF_CLOSED`.',
    body: async scene => {
      const client = await scene.client()
      const run = await scene.run(client, scene.key())
      const request = scene.request(client, scene.key())
      await scene.within(client.close(), ANSWER_MS, 'closing')
      const completion = { result: bytes('x'), failed: false, keepMs: LONG_MS }
      const steps: Readonly<Record<string, () => Promise<unknown>>> = {
        begin: () => client.idempotency.begin(request),
        renew: () => client.idempotency.renew(run, LONG_MS),
        complete: () => client.idempotency.complete(run, completion),
        release: () => client.idempotency.release(run),
      }
      for (const [name, step] of Object.entries(steps)) {
        assert.equal(await scene.code(step(), name), 'HF_CLOSED', name)
      }
    },
  },
]
