import type { Backend } from '@holdfast/core'
import { unsupportedLeases, unsupportedRecords } from '@holdfast/core'
import { memoryBackend, MemoryWorld } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, expect, test } from 'vitest'
import type { RejectedError, Rejection } from '../errors.ts'
import type { CircuitBreakerPolicy } from './circuit-breaker.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { CircuitBreakerOptions, SharedBreaker } from './options.ts'

const RULE: CircuitBreakerOptions = { minCalls: 2, openMs: 1_000, openJitter: 0, halfOpenCalls: 2 }
const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Instance {
  readonly policy: CircuitBreakerPolicy
  readonly backend: Backend
  /** Whether what it calls is down, as it sees it. */
  isDown: boolean
}

class Fleet {
  readonly time = new SimulatedClock()
  readonly world = new MemoryWorld(this.time)
  readonly #quorum: number | undefined
  #started = 0

  constructor(quorum?: number) {
    this.#quorum = quorum
  }

  async start(count: number, changed: (backend: Backend) => Backend = same): Promise<readonly Instance[]> {
    const instances = Array.from({ length: count }, () => this.#start(changed))
    await this.time.advance(10)
    return instances
  }

  #start(changed: (backend: Backend) => Backend): Instance {
    const backend = changed(memoryBackend({ world: this.world }))
    const shared: SharedBreaker = {
      backend,
      instance: `i${this.#started++}`,
      ...(this.#quorum !== undefined && { quorum: this.#quorum }),
    }
    const policy = circuitBreaker({ ...RULE, clock: this.time, name: 'stock', shared })
    closing.push(
      () => policy.close(),
      () => backend.close(),
    )
    return { policy, backend, isDown: false }
  }

  /** Each of them calls so many times, and the others hear of what comes of it. */
  async call(instances: readonly Instance[], times = 1): Promise<void> {
    for (let count = 0; count < times; count++) {
      for (const instance of instances) {
        await instance.policy
          .execute(() => (instance.isDown ? Promise.reject(new Error('down')) : Promise.resolve()))
          .catch(() => undefined)
      }
    }
    await this.time.advance(1)
  }

  async ids(): Promise<readonly string[]> {
    const reader = memoryBackend({ world: this.world })
    const read = await reader.records.read({ directory: 'breaker/stock', ephemerals: true })
    await reader.close()
    return read.kind === 'present' ? [...read.ephemerals.keys()] : []
  }
}

function same(backend: Backend): Backend {
  return backend
}

function kinds(instances: readonly Instance[]): readonly string[] {
  return instances.map(({ policy }) => policy.state.kind)
}

async function refusalOf({ policy }: Instance): Promise<Rejection | undefined> {
  const error = await policy.execute(() => 'in').catch((thrown: unknown) => thrown)
  return (error as RejectedError).rejection
}

function down(instances: readonly Instance[], isDown: boolean): void {
  for (const instance of instances) instance.isDown = isDown
}

/** A store that stops answering, from when it is told to. */
function freezable(isFrozen: () => boolean): (backend: Backend) => Backend {
  const frozen = <T extends object>(port: T): T =>
    new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => (isFrozen() ? new Promise(() => {}) : (value.apply(target, args) as unknown))
      },
    })
  return backend => ({ ...backend, leases: frozen(backend.leases) })
}

test('One instance that sees failures opens for itself alone: it may be what is broken.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(3)
  down(instances.slice(0, 1), true)
  await fleet.call(instances, 3)
  expect(kinds(instances)).toEqual(['open', 'closed', 'closed'])
  // Nor does one that comes later begin with what was before.
  const [late] = await fleet.start(1)
  expect(late?.policy.describe().state).toMatchObject({ circuit: 'closed', shared: { peers: 3, peersOpen: 0 } })
})

test('When half of all have opened it opens for the others too, which have seen nothing.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(4)
  down(instances, true)
  await fleet.call(instances.slice(0, 1), 2)
  expect(kinds(instances)).toEqual(['open', 'closed', 'closed', 'closed'])
  await fleet.call(instances.slice(1, 2), 2)
  expect(kinds(instances)).toEqual(['open', 'open', 'open', 'open'])
  expect(instances[3]?.policy.state).toMatchObject({ cause: 'peers' })
  expect(instances[3]?.policy.describe().state).toMatchObject({ shared: { link: 'linked', peers: 3, peersOpen: 2 } })
})

test('A quorum that is higher is asked for.', async () => {
  const fleet = new Fleet(0.75)
  const instances = await fleet.start(4)
  down(instances, true)
  await fleet.call(instances.slice(0, 2), 2)
  expect(kinds(instances)).toEqual(['open', 'open', 'closed', 'closed'])
  await fleet.call(instances.slice(2, 3), 2)
  expect(kinds(instances)).toEqual(['open', 'open', 'open', 'open'])
})

test('One instance at a time makes trial calls; when they went well the others make theirs at once, and all close.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(4)
  down(instances, true)
  await fleet.call(instances, 2)
  expect(new Set(kinds(instances))).toEqual(new Set(['open']))
  await fleet.time.advance(1_000)
  down(instances, false)
  // The first calls ask whose turn it is.
  await fleet.call(instances)
  await fleet.call(instances)
  expect(kinds(instances).filter(kind => kind === 'half-open')).toHaveLength(1)
  expect(kinds(instances).filter(kind => kind === 'open')).toHaveLength(3)
  await fleet.call(instances)
  await fleet.call(instances, 2)
  expect(kinds(instances)).toEqual(['closed', 'closed', 'closed', 'closed'])
  // The turn was given back as soon as it was not needed any more.
  expect(fleet.world.resources()).toEqual([])
})

test('A trial that failed keeps the others from making theirs.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(4)
  down(instances, true)
  await fleet.call(instances, 2)
  await fleet.time.advance(1_000)
  const [first] = instances as readonly [Instance]
  await fleet.call([first])
  await fleet.call([first])
  expect(first.policy.state).toMatchObject({ kind: 'open', cause: 'trial', openings: 2 })
  for (const other of instances.slice(1)) {
    expect(other.policy.state).toMatchObject({ kind: 'open', openings: 2 })
    const refusal = await refusalOf(other)
    expect(refusal).toMatchObject({ reason: 'circuit-open' })
    expect(refusal?.retryAfterMs).toBeGreaterThan(1_900)
  }
})

test('An instance that others opened closes when they have closed, also if nobody calls it.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(3)
  const callers = instances.slice(0, 2)
  down(callers, true)
  await fleet.call(callers, 2)
  expect(instances[2]?.policy.state).toMatchObject({ kind: 'open', cause: 'peers' })
  await fleet.time.advance(1_000)
  down(callers, false)
  await fleet.call(callers, 6)
  expect(kinds(instances)).toEqual(['closed', 'closed', 'closed'])
})

test('An instance that has seen for itself that it goes well is not opened again by what the others saw before.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(3)
  const [, , healthy] = instances as readonly [Instance, Instance, Instance]
  down(instances.slice(0, 2), true)
  await fleet.call(instances.slice(0, 2), 2)
  await fleet.time.advance(1_000)
  await fleet.call([healthy], 1)
  await fleet.call([healthy], 2)
  expect(kinds(instances)).toEqual(['open', 'open', 'closed'])
  await fleet.time.advance(30_000)
  expect(kinds(instances)).toEqual(['open', 'open', 'closed'])
})

test('With the store away each decides alone, and no call waits for it.', async () => {
  const fleet = new Fleet()
  let isFrozen = false
  const instances = await fleet.start(
    2,
    freezable(() => isFrozen),
  )
  const [one] = instances as readonly [Instance]
  isFrozen = true
  down(instances, true)
  await fleet.call(instances, 2)
  expect(kinds(instances)).toEqual(['open', 'open'])
  await fleet.time.advance(1_000)
  down(instances, false)
  // It asks for its turn, and goes without it when there is no answer.
  expect(await refusalOf(one)).toMatchObject({ reason: 'circuit-open', retryAfterMs: 250 })
  await fleet.time.advance(201)
  await fleet.call([one], 2)
  expect(one.policy.state.kind).toBe('closed')
})

test('With its backend closed a breaker goes on alone.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(2)
  const [one] = instances as readonly [Instance]
  await one.backend.close()
  expect(one.policy.describe().state).toMatchObject({ shared: { link: 'alone' } })
  one.isDown = true
  await fleet.call([one], 2)
  expect(one.policy.state.kind).toBe('open')
  await fleet.time.advance(1_000)
  one.isDown = false
  await fleet.call([one], 2)
  expect(one.policy.state.kind).toBe('closed')
})

test('Over a store without leases each makes its own trial calls; over one without records it cannot be shared.', async () => {
  const fleet = new Fleet()
  const [one] = (await fleet.start(1, backend => ({ ...backend, leases: unsupportedLeases('memory') }))) as [Instance]
  one.isDown = true
  await fleet.call([one], 2)
  await fleet.time.advance(1_000)
  one.isDown = false
  await fleet.call([one], 1)
  await fleet.call([one], 2)
  expect(one.policy.state.kind).toBe('closed')
  const backend = { ...memoryBackend(), records: unsupportedRecords('memory') }
  expect(() => circuitBreaker({ name: 'stock', shared: { backend } })).toThrow('record')
})

test('A closed breaker leaves no announcement, no lease and no timer, and goes on alone.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(2)
  expect(await fleet.ids()).toEqual(['i0', 'i1'])
  down(instances, true)
  await fleet.call(instances, 2)
  await fleet.time.advance(1_000)
  await fleet.call(instances.slice(0, 1))
  for (const { policy } of instances) policy.close()
  await fleet.time.advance(20_000)
  expect(await fleet.ids()).toEqual([])
  expect(fleet.world.resources()).toEqual([])
  expect(fleet.time.pendingTimers).toBe(0)
  down(instances, false)
  await fleet.call(instances, 3)
  expect(kinds(instances)).toEqual(['closed', 'closed'])
})

test('The turn of an instance that makes no trial calls ends by itself.', async () => {
  const fleet = new Fleet()
  const instances = await fleet.start(2)
  down(instances, true)
  await fleet.call(instances, 2)
  await fleet.time.advance(1_000)
  down(instances, false)
  const [idle, busy] = instances as readonly [Instance, Instance]
  await fleet.call([idle])
  await fleet.call([busy], 3)
  expect(busy.policy.state.kind).toBe('open')
  await fleet.time.advance(11_000)
  await fleet.call([busy])
  await fleet.call([busy], 2)
  expect(busy.policy.state.kind).toBe('closed')
})

test('A shared breaker needs a name, so that instances find each other.', () => {
  expect(() => circuitBreaker({ shared: { backend: memoryBackend() } })).toThrow('to have a `name`, got undefined')
  const shared = { backend: memoryBackend(), quorum: 2 }
  expect(() => circuitBreaker({ name: 'stock', shared })).toThrow('Expected `shared.quorum`')
  const name = 'n'.repeat(190)
  expect(() => circuitBreaker({ name, shared: { backend: memoryBackend() } })).toThrow('at most 200 bytes of UTF-8')
})
