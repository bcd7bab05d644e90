import assert from 'node:assert/strict'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import { HOP_MS } from '../stage.ts'

/** For how long a waiter asks in vain at least: longer than one question may take, with what a store sets by itself. */
const UNANSWERED_MS = 6_000

/** Waiting while the store is away. */
export const outageCases: readonly LeaseCase[] = [
  {
    promise: 'L7',
    name: 'Who has a place in the queue waits on while the store does not answer, and is served once it does.',
    needs: ['fifo', 'silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const isSession = one.leases.renewal === 'session'
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const resource = scene.resource()
        // A waiter asks when it believes the holder's lease to end: in the middle of the outage, of which it knows nothing else.
        const held = await renewing(() => scene.take(one, resource, { ttlMs: 2 * ttlMs }))
        // Of a session a third may have passed before without a word, and what is left has to be enough on a slow machine.
        const outageMs = isSession ? scene.ttlMs / 4 : 2 * ttlMs + UNANSWERED_MS
        const waiting = await scene.line(other, resource, { ttlMs: isSession ? scene.ttlMs : 2 * outageMs })
        const [renewed] = await scene.within(
          renewing(() => one.leases.renew([{ grant: held, ttlMs: scene.longTtlMs(one) }])),
          HOP_MS,
          'the renewal',
        )
        over()
        assert.equal(renewed?.kind, 'renewed')
        const heal = await scene.silence(other)
        await scene.harness.advance(outageMs)
        assert.equal(waiting.state, 'pending', `After ${outageMs} ms without an answer it waits no more.`)
        await heal()
        assert.equal(await scene.release(one, held), 'released')
        const grant = await scene.within(waiting.promise, 10 * HOP_MS, 'the one who waited through the outage')
        assert.ok(grant.token.value > held.token.value, `${grant.token.value} after ${held.token.value}.`)
        assert.equal(await scene.release(other, grant), 'released')
        await scene.nothingLeft(resource)
      })
    },
  },
]
