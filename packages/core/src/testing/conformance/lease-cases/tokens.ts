import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { HoldEvent } from '../../history.ts'
import { checkHistory, describeViolation } from '../../history.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

const WAITERS = 8
const ROUNDS = 50

/** Tokens grow with every grant of a resource. */
export const tokenCases: readonly LeaseCase[] = [
  {
    promise: 'L2',
    name: 'Tokens strictly increase from grant to grant, over several clients.',
    body: async scene => {
      const clients = await scene.threeClients()
      const resource = scene.resource()
      let last = 0n
      for (let round = 0; round < 30; round += 1) {
        const client = clients[round % 3]
        assert.ok(client !== undefined)
        const grant = await scene.take(client, resource)
        assert.ok(grant.token.value > last, `Round ${round}: ${grant.token.value} after ${last}.`)
        last = grant.token.value
        await scene.release(client, grant)
      }
    },
  },
  {
    promise: 'L2',
    name: `Of ${WAITERS} contenders in 3 clients one holds at a time, ${WAITERS * ROUNDS} times, and every token is greater than the one before.`,
    body: async scene => {
      const clients = await scene.threeClients()
      const contest = new Contest(scene, scene.resource())
      const contenders = Array.from({ length: WAITERS }, (_, index) => {
        const client = clients[index % clients.length]
        assert.ok(client !== undefined)
        return contest.enter(client, `contender ${index}`)
      })
      await scene.within(Promise.all(contenders), 120 * HOP_MS, 'every contender')
      assert.equal(contest.holds.length, WAITERS * ROUNDS)
      assert.deepEqual(
        checkHistory(contest.holds).map(violation => describeViolation(violation)),
        [],
      )
      await scene.nothingLeft(contest.resource)
    },
  },
  {
    promise: 'L2',
    name: 'Tokens grow across the loss of all data, for old clients and for a new one.',
    needs: 'loseData',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      let last = 0n
      for (const client of [one, other, one, await scene.client()]) {
        const grant = await scene.within(scene.wait(client, resource).promise, 5 * HOP_MS, 'a grant after the loss')
        assert.ok(grant.token.value > last, `${grant.token.value} after ${last}.`)
        last = grant.token.value
        // Once while it is free, once while it is held.
        if (client === one) await scene.release(client, grant)
        await loseData(scene)
      }
    },
  },
  {
    promise: 'L3',
    name: 'A holder whose lease the store lost is told so by its next renewal, and a new holder is left alone.',
    needs: 'loseData',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grant = await scene.take(one, scene.resource())
      await loseData(scene)
      const successor = await scene.within(scene.wait(other, grant.request.resource).promise, 5 * HOP_MS, 'a grant')
      const [outcome] = await scene.within(one.leases.renew([{ grant, ttlMs: grant.ttlMs }]), HOP_MS, 'an answer')
      assert.equal(outcome?.kind, 'lost')
      assert.equal(await scene.release(one, grant), 'lost')
      assert.equal(await scene.probe(one, grant.request.resource), 'held')
      assert.equal(await scene.release(other, successor), 'released')
    },
  },
]

async function loseData(scene: Scene): Promise<void> {
  const { loseData: capability } = scene.harness
  if (capability.kind === 'supported') await capability.run()
}

/** Contenders that take a resource again and again, and what they believed to hold when. */
class Contest {
  readonly resource: string
  readonly holds: HoldEvent[] = []
  readonly #scene: Scene
  #inside = 0

  constructor(scene: Scene, resource: string) {
    this.#scene = scene
    this.resource = resource
  }

  async enter(client: Backend, holder: string): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const grant = await client.leases.grant(this.#scene.request(client, this.resource))
      const acquiredAtMs = client.clock.monotonicMs()
      const deadlineMs = acquiredAtMs + grant.deadline.remainingMs()
      this.#inside += 1
      assert.equal(this.#inside, 1, `${holder} was let in beside another.`)
      await this.#scene.harness.advance(1)
      this.#inside -= 1
      const validUntilMs = Math.min(client.clock.monotonicMs(), deadlineMs)
      const { resource } = this
      this.holds.push({ kind: 'hold', resource, holder, token: grant.token.value, acquiredAtMs, validUntilMs })
      assert.equal(await client.leases.release(grant), 'released')
    }
  }
}
