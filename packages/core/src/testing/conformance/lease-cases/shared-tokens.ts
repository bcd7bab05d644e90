import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { READ, WRITE, nowGranted, permit } from './shared-wishes.ts'

const CONTENDERS = 8
const ROUNDS = 25
const LIMIT = 3

/** Tokens where several hold at a time. */
export const sharedTokenCases: readonly LeaseCase[] = [
  {
    promise: 'L2',
    name: "Readers have the token of the writer before them, all the same, and each writer's is greater than the last.",
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      let last = -1n
      for (let round = 0; round < 10; round += 1) {
        const written = await scene.take(one, resource, WRITE)
        assert.ok(written.token.value > last, `Round ${round}: ${written.token.value} after ${last}.`)
        last = written.token.value
        const waiting = await scene.line(other, resource, READ)
        await scene.release(one, written)
        const handed = await nowGranted(scene, waiting, 'the reader')
        const beside = await scene.take(one, resource, READ)
        assert.deepEqual([handed.token.value, beside.token.value], [last, last])
        await scene.release(other, handed)
        await scene.release(one, beside)
        const later = await scene.take(other, resource, READ)
        assert.equal(later.token.value, last)
        await scene.release(other, later)
      }
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L2',
    name: 'Readers of a resource that nobody has written have one token, and the first writer has a greater one.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, READ)
      const second = await scene.take(other, resource, READ)
      assert.equal(first.token.value, second.token.value)
      await scene.release(one, first)
      const third = await scene.take(one, resource, READ)
      assert.equal(third.token.value, second.token.value)
      await scene.release(one, third)
      await scene.release(other, second)
      const written = await scene.take(one, resource, WRITE)
      assert.ok(written.token.value > third.token.value, `${written.token.value} after ${third.token.value}.`)
      await scene.release(one, written)
    },
  },
  {
    promise: 'L2',
    name: 'Permits have tokens that strictly increase, over several clients, while others hold beside them.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      let last = -1n
      for (let round = 0; round < 10; round += 1) {
        const grants = []
        for (const client of [one, other, one]) {
          const grant = await scene.take(client, resource, permit(LIMIT))
          assert.ok(grant.token.value > last, `Round ${round}: ${grant.token.value} after ${last}.`)
          last = grant.token.value
          grants.push({ client, grant })
        }
        for (const { client, grant } of grants) await scene.release(client, grant)
      }
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L2',
    name: 'Across the loss of all data the tokens of writers and permits grow, and no reader has less than the last writer.',
    needs: ['modes', 'loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      let written = -1n
      let permitted = -1n
      for (const client of [one, other, one, await scene.client()]) {
        const reader = await soon(scene, client, { resource, wish: READ })
        assert.ok(reader.token.value >= written, `A reader has ${reader.token.value} after ${written}.`)
        await scene.release(client, reader)
        const writer = await soon(scene, client, { resource, wish: WRITE })
        assert.ok(writer.token.value > reader.token.value, `${writer.token.value} after ${reader.token.value}.`)
        written = writer.token.value
        const held = await soon(scene, client, { resource, wish: permit(1) })
        assert.ok(held.token.value > permitted, `A permit has ${held.token.value} after ${permitted}.`)
        permitted = held.token.value
        // Once while they are free, once while they are held.
        if (client === one) for (const grant of [writer, held]) await scene.release(client, grant)
        const { loseData } = scene.harness
        if (loseData.kind === 'supported') await loseData.run()
      }
    },
  },
  {
    promise: 'L1',
    name: `Of ${CONTENDERS} contenders in 3 clients a writer is always alone and readers see the last writer's token, ${CONTENDERS * ROUNDS} times.`,
    needs: 'modes',
    body: scene => contest(scene, new ReadWriteContest(scene.resource())),
  },
  {
    promise: 'L1',
    name: `Of ${CONTENDERS} contenders in 3 clients ${LIMIT} at most have a permit, and no two one slot, ${CONTENDERS * ROUNDS} times.`,
    needs: 'modes',
    body: scene => contest(scene, new PermitContest(scene.resource(), scene.harness.slots)),
  },
]

interface SoonWish {
  readonly resource: string
  readonly wish: { readonly mode: NonNullable<ReturnType<typeof permit>['mode']> }
}

function soon(scene: Scene, client: Backend, { resource, wish }: SoonWish): ReturnType<Scene['take']> {
  return scene.within(scene.wait(client, resource, wish).promise, 5 * HOP_MS, `a ${wish.mode.kind} after the loss`)
}

type Granted = Awaited<ReturnType<Scene['take']>>

/** What several do to one resource, and what must be true of those who are inside. */
interface Contest {
  readonly resource: string
  wish(contender: number, round: number): ReturnType<typeof permit>
  enter(grant: Granted): void
  leave(grant: Granted): void
}

class ReadWriteContest implements Contest {
  readonly resource: string
  readonly #inside = new Set<Granted>()
  #writer = -1n

  constructor(resource: string) {
    this.resource = resource
  }

  wish(contender: number, round: number): typeof READ {
    return (contender + round) % 3 === 0 ? WRITE : READ
  }

  enter(grant: Granted): void {
    const writers = [...this.#inside].filter(({ request }) => request.mode?.kind === 'write')
    assert.equal(writers.length, 0, `A ${grant.request.mode?.kind} was let in beside a writer.`)
    const token = grant.token.value
    if (grant.request.mode?.kind === 'read') {
      assert.ok(token >= this.#writer, `A reader has ${token}, the last writer ${this.#writer}.`)
      for (const other of this.#inside) assert.equal(other.token.value, token, 'Two readers have different tokens.')
    } else {
      assert.equal(this.#inside.size, 0, 'A writer was let in beside a reader.')
      assert.ok(token > this.#writer, `A writer has ${token}, the one before ${this.#writer}.`)
      this.#writer = token
    }
    this.#inside.add(grant)
  }

  leave(grant: Granted): void {
    this.#inside.delete(grant)
  }
}

class PermitContest implements Contest {
  readonly resource: string
  readonly #hasSlots: boolean
  readonly #inside = new Set<Granted>()
  readonly #lastOfSlot = new Map<number, bigint>()
  readonly #tokens = new Set<bigint>()

  constructor(resource: string, hasSlots: boolean) {
    this.resource = resource
    this.#hasSlots = hasSlots
  }

  wish(): ReturnType<typeof permit> {
    return permit(LIMIT)
  }

  enter(grant: Granted): void {
    const { slot, token } = grant
    this.#inside.add(grant)
    assert.ok(this.#inside.size <= LIMIT, `${this.#inside.size} have a permit.`)
    assert.ok(!this.#tokens.has(token.value), `The token ${token.value} was given twice.`)
    this.#tokens.add(token.value)
    assert.equal(slot !== undefined, this.#hasSlots)
    if (slot === undefined) return
    assert.ok(Number.isInteger(slot) && slot >= 0 && slot < LIMIT, `The slot is ${slot}.`)
    const slots = new Set([...this.#inside].map(other => other.slot))
    assert.equal(slots.size, this.#inside.size, `Two have the slot ${slot}.`)
    assert.ok(token.value > (this.#lastOfSlot.get(slot) ?? -1n), `The tokens of slot ${slot} do not grow.`)
    this.#lastOfSlot.set(slot, token.value)
  }

  leave(grant: Granted): void {
    this.#inside.delete(grant)
  }
}

async function contest(scene: Scene, game: Contest): Promise<void> {
  const clients = await scene.threeClients()
  let holds = 0
  const contend = async (client: Backend, contender: number): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const wish = game.wish(contender, round)
      const grant = await client.leases.grant(scene.request(client, game.resource, wish))
      game.enter(grant)
      holds += 1
      await scene.harness.advance(1)
      game.leave(grant)
      assert.equal(await client.leases.release(grant), 'released')
    }
  }
  const contenders = Array.from({ length: CONTENDERS }, (_, index) => {
    const client = clients[index % clients.length]
    assert.ok(client !== undefined)
    return contend(client, index)
  })
  await scene.within(Promise.all(contenders), 120 * HOP_MS, 'every contender')
  assert.equal(holds, CONTENDERS * ROUNDS)
  await scene.nothingLeft(game.resource)
}
