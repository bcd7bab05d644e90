import assert from 'node:assert/strict'
import type { RateDecision } from '../../../ports/rates.ts'
import { HOP_MS } from '../stage.ts'
import type { RateCase, RateScene } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

const TIMEOUT_MS = 60
const BACK_MS = 20 * HOP_MS

/** What becomes of a call when the store does not answer, or says no. */
export const failureCases: readonly RateCase[] = [
  {
    promise: 'Q6',
    name: 'A take of a client that cannot connect is unavailable by its `timeoutMs`, and never sent.',
    needs: ['stop'],
    body: neverSent,
  },
  {
    promise: 'Q6',
    name: 'Over a silent link every call is unavailable by its `timeoutMs`, and the client comes back by itself.',
    needs: ['silence'],
    body: unavailableInSilence,
  },
  {
    promise: 'Q6',
    name: 'A take that was lost with its connection is unavailable, and not sent again.',
    needs: ['cut'],
    body: notSentAgain,
  },
  {
    promise: 'Q6',
    name: 'After a restart of the server a client takes again.',
    needs: ['restart'],
    body: async scene => {
      const client = await scene.client()
      const quota = stillQuota(1_000)
      await scene.granted(client, { key: scene.key(), quota, cost: 1 })
      await scene.able('restart')()
      await scene.eventually(
        async () => await takes(scene, client.rates.take({ key: scene.key(), quota, cost: 1 })),
        'no take was granted',
        BACK_MS,
      )
    },
  },
  {
    promise: 'Q6',
    name: 'A server that forgot its scripts is told them again, and the take is taken once.',
    needs: ['forgetScripts'],
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), stillQuota(10)]
      await scene.granted(client, { key, quota, cost: 1 })
      await scene.able('forgetScripts')()
      assert.equal((await scene.granted(client, { key, quota, cost: 1 })).remaining, 8)
      await scene.able('forgetScripts')()
      await scene.giveBack(client, key, quota, 1)
      assert.equal(await scene.remaining(client, key, quota), 9)
    },
  },
  {
    promise: 'Q6',
    name: 'Who may not take is refused, with `HF_REFUSED`, and nothing is taken.',
    needs: ['openForbidden'],
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), stillQuota(10)]
      await scene.granted(client, { key, quota, cost: 1 })
      const { rates } = await scene.adopt(scene.able('openForbidden')())
      const take = { key, quota, cost: 1 }
      const calls = [() => rates.take(take), () => rates.takeAll([take]), () => rates.giveBack(key, quota, 1)]
      for (const call of calls) {
        let code = await scene.code(call(), 'a call of who may not')
        // A Cluster of which no node is connected yet cannot say no: it is unavailable until then.
        for (let again = 0; code === 'HF_UNAVAILABLE' && again < 10; again += 1) {
          code = await scene.code(call(), 'a call of who may not')
        }
        assert.equal(code, 'HF_REFUSED')
      }
      assert.equal(await scene.remaining(client, key, quota), 9)
    },
  },
]

async function neverSent(scene: RateScene): Promise<void> {
  const [key, quota] = [scene.key(), stillQuota(10)]
  const late = await scene.client()
  const goOn = await scene.able('stop')()
  scene.healAtEnd(goOn)
  const { rates, clock } = late
  for (let at = 0; at < 3; at += 1) {
    const startMs = clock.monotonicMs()
    const call = rates.take({ key, quota, cost: 1 }, { timeoutMs: TIMEOUT_MS })
    assert.equal(await scene.code(call, 'a take of a stopped server'), 'HF_UNAVAILABLE')
    const tookMs = clock.monotonicMs() - startMs
    assert.ok(tookMs <= TIMEOUT_MS + scene.harness.slackMs, `It took ${tookMs} ms.`)
  }
  await goOn()
  const other = await scene.client()
  await scene.eventually(
    async () => await takes(scene, late.rates.take({ key: scene.key(), quota, cost: 1 })),
    'it did not come back',
    BACK_MS,
  )
  assert.equal(await scene.remaining(other, key, quota), 10)
}

async function unavailableInSilence(scene: RateScene): Promise<void> {
  const client = await scene.client()
  const [key, quota] = [scene.key(), stillQuota(10)]
  await scene.granted(client, { key, quota, cost: 1 })
  const heal = await scene.able('silence')(client)
  scene.healAtEnd(heal)
  const { rates, clock } = client
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    take: () => rates.take({ key, quota, cost: 1 }, { timeoutMs: TIMEOUT_MS }),
    takeAll: () => rates.takeAll([{ key, quota, cost: 1 }], { timeoutMs: TIMEOUT_MS }),
    giveBack: () => rates.giveBack(key, quota, 1, { timeoutMs: TIMEOUT_MS }),
  }
  for (const [name, call] of Object.entries(calls)) {
    const startMs = clock.monotonicMs()
    assert.equal(await scene.code(call(), `\`${name}\` over a silent link`), 'HF_UNAVAILABLE')
    const tookMs = clock.monotonicMs() - startMs
    assert.ok(tookMs <= TIMEOUT_MS + scene.harness.slackMs, `\`${name}\` took ${tookMs} ms.`)
  }
  await heal()
  await scene.eventually(
    async () => await takes(scene, rates.take({ key: scene.key(), quota, cost: 1 })),
    'it did not come back',
    BACK_MS,
  )
  // What was under way may have arrived, each once.
  const remaining = await scene.remaining(client, key, quota)
  assert.ok(remaining >= 7 && remaining <= 10, `${remaining} are left.`)
}

async function notSentAgain(scene: RateScene): Promise<void> {
  const [client, other] = await scene.clients(2)
  if (client === undefined || other === undefined) assert.fail()
  const [key, quota] = [scene.key(), stillQuota(10)]
  await scene.granted(client, { key, quota, cost: 1 })
  // A store with a pool has a connection for each, so that each is sent.
  await Promise.all([0, 1, 2].map(() => scene.remaining(client, key, quota)))
  const codes: unknown[] = []
  await scene.able('cut')(client, async () => {
    const calls = [0, 1, 2].map(() => client.rates.take({ key, quota, cost: 1 }))
    for (const call of calls) call.catch((error: unknown) => codes.push((error as { readonly code?: unknown }).code))
  })
  await scene.eventually(async () => codes.length === 3, 'the takes were not rejected', BACK_MS)
  assert.deepEqual(codes, ['HF_UNAVAILABLE', 'HF_UNAVAILABLE', 'HF_UNAVAILABLE'])
  await scene.eventually(
    async () => await takes(scene, client.rates.take({ key: scene.key(), quota, cost: 1 })),
    'it did not come back',
    BACK_MS,
  )
  assert.equal(await scene.remaining(other, key, quota), 9)
}

// Whether a take is granted by now.
async function takes(scene: RateScene, call: Promise<RateDecision>): Promise<boolean> {
  const kind = call.then(
    decision => decision.kind,
    () => 'unavailable',
  )
  return (await scene.within(kind, BACK_MS, 'a take')) === 'granted'
}
