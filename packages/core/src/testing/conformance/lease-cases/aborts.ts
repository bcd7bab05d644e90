import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { Grant } from '../../../ports/leases.ts'
import { seededRandom } from '../../../random.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene, Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

const ROUNDS = 40
const TURNS_MAX = 60

/** A request that is given up leaves nothing behind. */
export const abortCases: readonly LeaseCase[] = [
  {
    promise: 'L5',
    name: 'A request whose signal has aborted already is rejected with the reason and leaves nothing.',
    body: async scene => {
      const client = await scene.client()
      const resource = scene.resource()
      const reason = new Error('too late')
      const signal = AbortSignal.abort(reason)
      const tried = client.leases.tryGrant(scene.request(client, resource), signal)
      assert.equal(await scene.rejection(tried, HOP_MS, 'tryGrant with an aborted signal'), reason)
      const waited = scene.wait(client, resource, { signal })
      assert.equal(await scene.rejection(waited.promise, HOP_MS, 'grant with an aborted signal'), reason)
      const { holder, waiters } = await client.leases.inspect(resource)
      assert.deepEqual([holder, waiters], [undefined, []])
      assert.deepEqual(await scene.harness.leftovers(resource), [])
    },
  },
  {
    promise: 'L5',
    name: 'A request whose signal has aborted already sends nothing.',
    needs: 'requests',
    body: async scene => {
      const client = await scene.client()
      const signal = AbortSignal.abort(new Error('too late'))
      await scene.probe(client, scene.resource())
      const before = await requestsAtRest(scene, client)
      const asked = Array.from({ length: 20 }, () => scene.wait(client, scene.resource(), { signal }))
      for (const { promise } of asked) await scene.rejection(promise, HOP_MS, 'grant with an aborted signal')
      // What is sent to keep a session alive is no request of theirs.
      assert.ok(scene.requests(client) - before <= 2, `${scene.requests(client) - before} requests were sent.`)
    },
  },
  {
    promise: 'L5',
    name: 'An abort over a silent link rejects at once, and what was asked for is taken back when the link speaks again.',
    needs: 'silence',
    body: abortInSilence,
  },
  {
    promise: 'L5',
    name: 'A request that is aborted while it waits leaves the queue, and the next gets its turn.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource())
      const { resource } = held.request
      const abort = new AbortController()
      const aborted = scene.wait(other, resource, { signal: abort.signal })
      await scene.queued(one, aborted)
      const next = scene.wait(third, resource)
      await scene.queued(one, next)
      const reason = new Error('changed my mind')
      abort.abort(reason)
      assert.equal(await scene.rejection(aborted.promise, HOP_MS, 'the aborted request'), reason)
      await left(scene, one, aborted)
      await scene.release(one, held)
      await scene.release(third, await scene.within(next.promise, HOP_MS, 'the next in the queue'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L5',
    name: 'An abort after the grant changes nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const abort = new AbortController()
      const waiting = scene.wait(one, resource, { signal: abort.signal })
      const grant = await scene.within(waiting.promise, HOP_MS, 'the grant')
      abort.abort(new Error('too late'))
      await scene.turns(TURNS_MAX)
      assert.equal(await scene.probe(other, resource), 'held')
      assert.equal(await scene.release(one, grant), 'released')
    },
  },
  {
    promise: 'L5',
    name: `An abort while the request is on its way to a held resource leaves nothing, ${ROUNDS} times.`,
    body: scene => eachRound(scene, abortWhileEnqueuing),
  },
  {
    promise: 'L5',
    name: `An abort while the request is on its way to a free resource leaves it free, ${ROUNDS} times.`,
    body: scene => eachRound(scene, abortWhileGranting),
  },
  {
    promise: 'L5',
    name: `An abort at the instant of the hand-off leaves nothing, and the next gets its turn at once, ${ROUNDS} times.`,
    body: scene => eachRound(scene, abortAtHandOff),
  },
]

// A client of several servers still connects to those whom its first answers did not wait for.
async function requestsAtRest(scene: Scene, client: Backend): Promise<number> {
  for (;;) {
    const count = scene.requests(client)
    await scene.harness.advance(100)
    if (scene.requests(client) === count) return count
  }
}

async function abortInSilence(scene: Scene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const resources = [scene.resource(), scene.resource()] as const
  await scene.probe(one, resources[0])
  const heal = await scene.silence(one)
  const abort = new AbortController()
  const tried = one.leases.tryGrant(scene.request(one, resources[0]), abort.signal)
  const waited = scene.wait(one, resources[1], { signal: abort.signal })
  await scene.turns(5)
  const reason = new Error('enough')
  abort.abort(reason)
  const promptMs = 50 + scene.harness.slackMs
  assert.equal(await scene.rejection(tried, promptMs, 'tryGrant to be aborted'), reason)
  assert.equal(await scene.rejection(waited.promise, promptMs, 'grant to be aborted'), reason)
  await heal()
  for (const resource of resources) {
    const isFree = async (): Promise<boolean> => (await scene.probe(other, resource)) === 'granted'
    await scene.eventually(isFree, `"${resource}" is still held by an aborted request`, 3 * HOP_MS)
    await scene.nothingLeft(resource)
  }
}

interface Round {
  readonly clients: readonly [Backend, Backend, Backend]
  readonly resource: string
  /** How long to wait for the abort. */
  readonly turns: number
}

async function eachRound(scene: Scene, run: (scene: Scene, round: Round) => Promise<void>): Promise<void> {
  const clients = await scene.threeClients()
  const random = seededRandom(1_234)
  for (let round = 0; round < ROUNDS; round += 1) {
    // Early instants are many: the square puts half of the rounds into the first quarter.
    const turns = Math.floor(random.next() ** 2 * TURNS_MAX)
    await run(scene, { clients, resource: scene.resource(), turns })
  }
}

async function abortWhileEnqueuing(
  scene: Scene,
  { clients: [one, other, third], resource, turns }: Round,
): Promise<void> {
  const held = await scene.take(one, resource)
  const aborted = await abortedAfter(scene, other, { resource, turns })
  assert.equal(aborted, undefined, 'A held resource was granted to another.')
  const next = scene.wait(third, resource)
  await scene.queued(one, next)
  await scene.release(one, held)
  await scene.release(
    third,
    await scene.within(next.promise, HOP_MS, `the next in the queue (abort after ${turns} turns)`),
  )
  await scene.nothingLeft(resource)
}

async function abortWhileGranting(scene: Scene, { clients: [, other, third], resource, turns }: Round): Promise<void> {
  const grant = await abortedAfter(scene, other, { resource, turns })
  const next = scene.wait(third, resource)
  if (grant !== undefined) assert.equal(await scene.release(other, grant), 'released')
  await scene.release(third, await scene.within(next.promise, HOP_MS, `the next to ask (abort after ${turns} turns)`))
  await scene.nothingLeft(resource)
}

async function abortAtHandOff(scene: Scene, { clients: [one, other, third], resource, turns }: Round): Promise<void> {
  const held = await scene.take(one, resource)
  const abort = new AbortController()
  const aborted = scene.wait(other, resource, { signal: abort.signal })
  await scene.queued(one, aborted)
  const next = scene.wait(third, resource)
  await scene.queued(one, next)
  const release = one.leases.release(held)
  await scene.turns(turns)
  const reason = new Error('at the hand-off')
  abort.abort(reason)
  const grant = await grantOrAbort(scene, aborted, reason)
  if (grant !== undefined) assert.equal(await scene.release(other, grant), 'released')
  assert.equal(await scene.within(release, HOP_MS, 'the release'), 'released')
  await scene.release(
    third,
    await scene.within(next.promise, HOP_MS, `the next in the queue (abort after ${turns} turns)`),
  )
  await scene.nothingLeft(resource)
}

async function abortedAfter(
  scene: Scene,
  client: Backend,
  { resource, turns }: { readonly resource: string; readonly turns: number },
): Promise<Grant | undefined> {
  const abort = new AbortController()
  const waiting = scene.wait(client, resource, { signal: abort.signal })
  await scene.turns(turns)
  const reason = new Error(`after ${turns} turns`)
  abort.abort(reason)
  return grantOrAbort(scene, waiting, reason)
}

/** The grant, where it was faster than the abort. */
async function grantOrAbort(scene: Scene, waiting: Waiting, reason: unknown): Promise<Grant | undefined> {
  const settled = waiting.promise.catch((error: unknown) => {
    assert.equal(error, reason)
    return undefined
  })
  return scene.within(settled, HOP_MS, 'an aborted request')
}

/** The queue does not show it any more. */
async function left(scene: Scene, client: Backend, { request }: Waiting): Promise<void> {
  await scene.eventually(async () => {
    const { waiters } = await client.leases.inspect(request.resource)
    return waiters.every(waiter => waiter.requestId !== request.requestId)
  }, `the aborted request ${request.requestId} is still in the queue`)
}
