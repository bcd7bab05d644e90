import { setImmediate as turn } from 'node:timers/promises'
import type { Backend, IdempotencyStore } from '@holdfast/core'
import { UnavailableError, UnknownOutcomeError, seededRandom } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import type { CallContext, CallOptions, IdempotentOptions, Policy } from '../index.ts'
import { idempotent, pipeline } from '../index.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'

const LEASE_MS = 30_000
const DAY_MS = 86_400_000

interface World {
  readonly clock: SimulatedClock
  readonly world: MemoryWorld
  /** A process of its own: another policy on another backend of the same store. */
  process(options?: Partial<IdempotentOptions>): Policy
}

function newWorld(): World {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  return {
    clock,
    world,
    process: (options = {}) => {
      const store = options.store === undefined ? { backend: memoryBackend({ world }) } : {}
      return idempotent({ scope: 'charge', clock, random: seededRandom(1), ...store, ...options })
    },
  }
}

/** Work that ends when the test says so. */
function gate<T>(): { readonly promise: Promise<T>; open(value: T): void; fail(error: unknown): void } {
  let open: (value: T) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  promise.catch(() => {})
  return { promise, open, fail }
}

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => 'no error',
    (error: unknown) => error,
  )
}

const same: CallOptions = { idempotencyKey: 'key', fingerprint: { amount: 5 } }

/** The store with some of its steps replaced. */
function altered(backend: Backend, steps: Partial<IdempotencyStore>): IdempotencyStore {
  const { idempotency } = backend
  return {
    newOwner: () => idempotency.newOwner(),
    begin: request => idempotency.begin(request),
    renew: (run, leaseMs) => idempotency.renew(run, leaseMs),
    complete: (run, completion) => idempotency.complete(run, completion),
    release: run => idempotency.release(run),
    ...steps,
  }
}

const unavailable = async (): Promise<never> => {
  throw new UnavailableError('The test says so.')
}

describe('idempotent', () => {
  it('runs the work of a key once, and gives its result to whoever comes later', async () => {
    const { process } = newWorld()
    let runs = 0
    const work = (): { readonly id: number } => ({ id: (runs += 1) })
    const [one, other] = [process(), process()]
    expect(await one.execute(work, same)).toEqual({ id: 1 })
    expect(await one.execute(work, same)).toEqual({ id: 1 })
    expect(await other.execute(work, { ...same, fingerprint: { amount: 5 } })).toEqual({ id: 1 })
    expect(runs).toBe(1)
    expect(other.describe().state).toMatchObject({ ran: 0, replayed: 1 })
  })

  it.each([[undefined], [null], [false], [0], [''], [{ a: [1, { b: 'ä' }] }]])('replays %j as it was', async value => {
    const { process } = newWorld()
    const policy = process()
    expect(await policy.execute(() => value, same)).toEqual(value)
    expect(await policy.execute(() => 'another', same)).toEqual(value)
  })

  it('of 50 calls at once from two processes runs one, and refuses the others with `HF_IN_FLIGHT`', async () => {
    const { process, clock } = newWorld()
    const policies = [process(), process()]
    const { promise, open } = gate<string>()
    let runs = 0
    const calls = Array.from({ length: 50 }, (_, index) =>
      errorOf((policies[index % 2] as Policy).execute(() => ((runs += 1), promise), same)),
    )
    await clock.advance(0)
    open('done')
    const ends = await Promise.all(calls)
    expect(runs).toBe(1)
    expect(ends.filter(end => end === 'no error')).toHaveLength(1)
    const refused = ends.filter(end => end !== 'no error')
    for (const error of refused) expect(error).toMatchObject({ code: 'HF_IN_FLIGHT', key: 'key', retryAfterMs: 1_000 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('with `wait` gives all of 50 calls from two processes the result of the one that runs', async () => {
    const { process, clock } = newWorld()
    const policies = [process({ whenInFlight: 'wait' }), process({ whenInFlight: 'wait' })]
    const { promise, open } = gate<{ readonly id: number }>()
    let runs = 0
    const calls = Array.from({ length: 50 }, (_, index) =>
      (policies[index % 2] as Policy).execute(() => ((runs += 1), promise), same),
    )
    await clock.advance(500)
    open({ id: 7 })
    await clock.advance(2_000)
    const ends = await Promise.all(calls)
    expect(runs).toBe(1)
    for (const end of ends) expect(end).toEqual({ id: 7 })
    // Each has a copy of its own.
    expect(new Set(ends).size).toBe(50)
    expect(clock.pendingTimers).toBe(0)
  })

  it('with `wait` asks the store once more, not over and over, where the run is in this process', async () => {
    const { world, clock, process } = newWorld()
    let begins = 0
    const backend = memoryBackend({ world })
    const store = altered(backend, { begin: request => ((begins += 1), backend.idempotency.begin(request)) })
    const policy = process({ store, whenInFlight: 'wait' })
    const { promise, open } = gate<string>()
    const calls = Array.from({ length: 10 }, () => policy.execute(() => promise, same))
    await clock.advance(5_000)
    open('done')
    await Promise.all(calls)
    expect(begins).toBe(10)
  })

  it('with `wait` runs the work itself when the other one failed, and refuses after `waitMs`', async () => {
    const { process, clock } = newWorld()
    const policy = process({ whenInFlight: 'wait', waitMs: 3_000 })
    const { promise, fail } = gate<string>()
    const first = errorOf(policy.execute(() => promise, same))
    await clock.advance(0)
    const second = policy.execute(() => 'second', same)
    const other = errorOf(process({ whenInFlight: 'wait', waitMs: 500 }).execute(() => 'other', same))
    await clock.advance(1_000)
    expect(await other).toMatchObject({ code: 'HF_IN_FLIGHT' })
    fail(new Error('no'))
    await clock.advance(1_000)
    expect(await first).toMatchObject({ message: 'no' })
    expect(await second).toBe('second')
    expect(clock.pendingTimers).toBe(0)
  })

  it('refuses another request with the same key, whether the first is under way or done', async () => {
    const { process, clock } = newWorld()
    const policy = process()
    const { promise, open } = gate<string>()
    const first = policy.execute(() => promise, same)
    await clock.advance(0)
    const reused: CallOptions = { ...same, fingerprint: { amount: 6 } }
    expect(await errorOf(policy.execute(() => 'no', reused))).toMatchObject({ code: 'HF_KEY_REUSED', key: 'key' })
    open('done')
    await first
    expect(await errorOf(policy.execute(() => 'no', reused))).toMatchObject({ code: 'HF_KEY_REUSED' })
  })

  it('keeps the keys of scopes apart', async () => {
    const { process } = newWorld()
    expect(await process({ scope: 'a' }).execute(() => 'a', same)).toBe('a')
    expect(await process({ scope: 'b' }).execute(() => 'b', same)).toBe('b')
  })

  it('simply runs what has no key, and refuses it where a key is required', async () => {
    const { process, world } = newWorld()
    expect(await process().execute(() => 'ran')).toBe('ran')
    expect(world.runs.size).toBe(0)
    const error = await errorOf(process({ required: 'always' }).execute(() => 'no'))
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'idempotencyKey' })
  })

  it('uses the key up: what is called from inside under the same signal is another operation', async () => {
    const { process, clock } = newWorld()
    const [outer, inner] = [process({ scope: 'order' }), process({ scope: 'mail' })]
    let mails = 0
    const result = await outer.execute(async ({ signal }) => {
      await inner.execute(() => (mails += 1), signal)
      await inner.execute(() => (mails += 1), signal)
      return mails
    }, same)
    expect(result).toBe(2)
    expect(clock.pendingTimers).toBe(0)
  })

  it('forgets a result after `keepMs`', async () => {
    const { process, clock } = newWorld()
    const policy = process({ keepMs: DAY_MS })
    await policy.execute(() => 'first', same)
    await clock.advance(DAY_MS - 1)
    expect(await policy.execute(() => 'second', same)).toBe('first')
    await clock.advance(1)
    expect(await policy.execute(() => 'second', same)).toBe('second')
  })
})

describe('a failure', () => {
  it('gives the key back, and the next run has a higher fence', async () => {
    const { process } = newWorld()
    const policy = process()
    const fences: (bigint | undefined)[] = []
    const failing = ({ fence }: CallContext): never => {
      fences.push(fence)
      throw new Error('no')
    }
    expect(await errorOf(policy.execute(failing, same))).toMatchObject({ message: 'no' })
    await policy.execute(({ fence }) => void fences.push(fence), same)
    expect(fences).toHaveLength(2)
    expect((fences[1] ?? 0n) > (fences[0] ?? 0n)).toBe(true)
  })

  it('that is a result is kept and thrown again, with its name and fields', async () => {
    const { process } = newWorld()
    const policy = process({ keepFailure: error => (error as { readonly code?: string }).code === 'DECLINED' })
    const declined = Object.assign(new RangeError('declined'), { code: 'DECLINED', limit: 5 })
    const first = await errorOf(
      policy.execute(() => {
        throw declined
      }, same),
    )
    expect(first).toBe(declined)
    const again = await errorOf(policy.execute(() => 'second', same))
    expect(again).toMatchObject({ name: 'RangeError', message: 'declined', code: 'DECLINED', limit: 5 })
    expect(again).toBeInstanceOf(Error)
  })

  it('by a policy inside, or before the work began, is never a result', async () => {
    const { process, clock } = newWorld()
    const refuse = { policy: 'other', rule: 'other', ruleVersion: 1, reason: 'shed' } as const
    const gateStage = {
      kind: 'layer',
      policy: 'other',
      clock,
      rule: undefined,
      describe: () => ({}),
      run: async () => {
        throw errors.shift()
      },
    } as const
    const errors: unknown[] = [rejected(refuse), new Error('before the work')]
    const keepAll = process({ keepFailure: () => true })
    const guarded = pipeline(keepAll, policyOf(gateStage, {}))
    expect(await errorOf(guarded.execute(() => 'no', same))).toMatchObject({ code: 'HF_REJECTED' })
    expect(await errorOf(guarded.execute(() => 'no', same))).toMatchObject({ message: 'before the work' })
    expect(await keepAll.execute(() => 'ran', same)).toBe('ran')
  })

  it('whose filter throws gives the key back', async () => {
    const { process } = newWorld()
    const filter = (): never => {
      throw new TypeError('a defect in the filter')
    }
    const policy = process({ keepFailure: filter })
    const failing = (): never => {
      throw new Error('no')
    }
    expect(await errorOf(policy.execute(failing, same))).toMatchObject({ message: 'no' })
    expect(await policy.execute(() => 'second', same)).toBe('second')
  })
})

describe('a caller that gives up', () => {
  it('before the answer of the store leaves no run behind', async () => {
    const { process, world, clock } = newWorld()
    const backend = memoryBackend({ world })
    const slow = altered(backend, {
      begin: async request => {
        await new Promise<void>(resolve => void clock.setTimer(resolve, 100))
        return await backend.idempotency.begin(request)
      },
    })
    const abort = new AbortController()
    const call = errorOf(process({ store: slow }).execute(() => 'no', { ...same, signal: abort.signal }))
    await clock.advance(50)
    abort.abort(new Error('gone'))
    expect(await call).toMatchObject({ message: 'gone' })
    await clock.advance(100)
    expect(await process().execute(() => 'ran', same)).toBe('ran')
  })

  it('while the work runs cancels it, and gives the key back', async () => {
    const { process, clock } = newWorld()
    const policy = process()
    const abort = new AbortController()
    const work = ({ signal }: CallContext): Promise<never> =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    const call = errorOf(policy.execute(work, { ...same, signal: abort.signal }))
    await clock.advance(10)
    abort.abort(new Error('gone'))
    expect(await call).toMatchObject({ message: 'gone' })
    await turn()
    expect(await policy.execute(() => 'ran', same)).toBe('ran')
    expect(clock.pendingTimers).toBe(0)
  })

  it('while it waits for another leaves at once, and the other goes on', async () => {
    const { process, clock } = newWorld()
    const policy = process({ whenInFlight: 'wait' })
    const { promise, open } = gate<string>()
    const first = policy.execute(() => promise, same)
    await clock.advance(0)
    const abort = new AbortController()
    const calls = [policy, process({ whenInFlight: 'wait' })].map(waiting =>
      errorOf(waiting.execute(() => 'no', { ...same, signal: abort.signal })),
    )
    await clock.advance(100)
    abort.abort(new Error('gone'))
    for (const call of calls) expect(await call).toMatchObject({ message: 'gone' })
    open('done')
    expect(await first).toBe('done')
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('the lease of a run', () => {
  it('is renewed for as long as the work takes', async () => {
    const { process, clock } = newWorld()
    const { promise, open } = gate<string>()
    const call = process().execute(() => promise, same)
    for (let minute = 0; minute < 30; minute += 1) {
      await clock.advance(60_000)
      expect(await errorOf(process().execute(() => 'no', same))).toMatchObject({ code: 'HF_IN_FLIGHT' })
    }
    open('done')
    expect(await call).toBe('done')
    expect(clock.pendingTimers).toBe(0)
  })

  it('that is not renewed in time cancels the work with `HF_LEASE_LOST`, before another may run', async () => {
    const { process, world, clock } = newWorld()
    const store = altered(memoryBackend({ world }), { renew: unavailable })
    const reasons: unknown[] = []
    const work = ({ signal }: CallContext): Promise<never> =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason)
          reject(signal.reason as Error)
        }),
      )
    const startedAtMs = clock.monotonicMs()
    const call = errorOf(process({ store }).execute(work, same))
    while (reasons.length === 0) await clock.advance(10)
    expect(clock.monotonicMs() - startedAtMs).toBeLessThan(LEASE_MS)
    expect(await call).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'expired' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('that the store says is gone cancels the work', async () => {
    const { process, world, clock } = newWorld()
    const signals: AbortSignal[] = []
    const { promise, open } = gate<string>()
    const call = errorOf(process().execute(({ signal }) => (signals.push(signal), promise), same))
    await clock.advance(0)
    world.runs.lose('charge:key')
    await clock.advance(LEASE_MS / 3)
    expect(signals[0]?.reason).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'revoked' })
    open('done all the same')
    expect(await call).toMatchObject({ code: 'HF_STALE_TOKEN' })
  })
})

describe('an owner that stalls past its lease', () => {
  /** What the work writes to: with a check it refuses a fence that is older than the newest it has seen. */
  class Database {
    readonly writes: string[] = []
    #newest = 0n

    write(text: string, fence: bigint | undefined): void {
      if (fence !== undefined && fence < this.#newest) throw new Error(`The fence ${fence} is stale.`)
      this.#newest = fence ?? this.#newest
      this.writes.push(text)
    }
  }

  async function stall(fenceOf: (context: CallContext) => bigint | undefined) {
    const { process, clock } = newWorld()
    const database = new Database()
    const { promise, open } = gate<void>()
    const slow = errorOf(
      process().execute(async context => {
        await promise
        database.write('first', fenceOf(context))
        return 'first'
      }, same),
    )
    await clock.advance(0)
    // Its event loop hangs: no timer of the process runs, and others go on.
    clock.stall(LEASE_MS + 1)
    const successor = await process().execute(context => {
      database.write('second', fenceOf(context))
      return 'second'
    }, same)
    open()
    await clock.advance(LEASE_MS)
    return { error: await slow, successor, replay: await process().execute(() => 'third', same), database }
  }

  it('cannot overwrite the result of its successor, and its fence is refused by what it writes to', async () => {
    const { error, successor, replay, database } = await stall(({ fence }) => fence)
    expect(error).toMatchObject({ message: expect.stringContaining('is stale') as string })
    expect([successor, replay]).toEqual(['second', 'second'])
    expect(database.writes).toEqual(['second'])
  })

  it('writes over its successor where the fence is not checked, and is told `HF_STALE_TOKEN`', async () => {
    const { error, replay, database } = await stall(() => undefined)
    expect(error).toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(replay).toBe('second')
    // The control: this is what the fence is for.
    expect(database.writes).toEqual(['second', 'first'])
  })

  it('still has its result kept when nobody has followed', async () => {
    const { process, clock } = newWorld()
    const { promise, open } = gate<string>()
    const slow = process().execute(() => promise, same)
    await clock.advance(0)
    clock.stall(LEASE_MS + 1)
    await clock.advance(0)
    open('late')
    expect(await slow).toBe('late')
    expect(await process().execute(() => 'second', same)).toBe('late')
  })

  it('is never followed where `onLost` is `fail`: nobody knows what it did', async () => {
    const { process, clock } = newWorld()
    void errorOf(process().execute(() => gate<string>().promise, same))
    await clock.advance(0)
    clock.stall(LEASE_MS + 1)
    const error = await errorOf(process({ onLost: 'fail' }).execute(() => 'no', same))
    expect(error).toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
  })
})

describe('a store that cannot be reached', () => {
  it('refuses the call, and its work is not begun', async () => {
    const { process, world } = newWorld()
    const store = altered(memoryBackend({ world }), { begin: unavailable })
    let runs = 0
    const error = await errorOf(process({ store }).execute(() => (runs += 1), same))
    expect(error).toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(runs).toBe(0)
  })

  it('lets it run without a fence where the policy says `run`', async () => {
    const { process, world } = newWorld()
    const store = altered(memoryBackend({ world }), { begin: unavailable })
    const policy = process({ store, whenUnavailable: 'run' })
    expect(await policy.execute(({ fence }) => `fence ${fence}`, same)).toBe('fence undefined')
    expect(policy.describe().state).toMatchObject({ unguarded: 1, ran: 0 })
  })

  it('when the work is done does not keep the caller waiting: the result is stored once it is back', async () => {
    const { process, world, clock } = newWorld()
    const backend = memoryBackend({ world })
    let isDown = true
    const store = altered(backend, {
      complete: (run, completion) => {
        if (isDown) throw new UnknownOutcomeError('The test says so.')
        return backend.idempotency.complete(run, completion)
      },
    })
    const policy = process({ store: { ...store, complete: async (...given) => await store.complete(...given) } })
    expect(await policy.execute(() => 'done', same)).toBe('done')
    expect(policy.describe().state).toMatchObject({ owing: 1 })
    expect(await errorOf(process().execute(() => 'no', same))).toMatchObject({ code: 'HF_IN_FLIGHT' })
    await clock.advance(10_000)
    isDown = false
    await clock.advance(3_000)
    expect(policy.describe().state).toMatchObject({ owing: 0 })
    expect(await process().execute(() => 'no', same)).toBe('done')
    expect(clock.pendingTimers).toBe(0)
  })

  it('for longer than a lease costs the result, and closing the policy ends the tries', async () => {
    const { process, world, clock } = newWorld()
    const store = altered(memoryBackend({ world }), { complete: unavailable, renew: unavailable })
    const policy = process({ store })
    await policy.execute(() => 'done', same)
    await clock.advance(2 * LEASE_MS)
    expect(policy.describe().state).toMatchObject({ owing: 0 })
    expect(await process().execute(() => 'again', same)).toBe('again')
    const closed = process({ store, scope: 'other' })
    await closed.execute(() => 'done', same)
    closed.close()
    await clock.advance(0)
    expect(closed.describe().state).toMatchObject({ owing: 0 })
  })

  it('when a failure gives the key back leaves it to the lease, and the caller hears of his failure', async () => {
    const { process, world, clock } = newWorld()
    const store = altered(memoryBackend({ world }), { release: unavailable })
    const failing = (): never => {
      throw new Error('no')
    }
    expect(await errorOf(process({ store }).execute(failing, same))).toMatchObject({ message: 'no' })
    expect(await errorOf(process().execute(() => 'no', same))).toMatchObject({ code: 'HF_IN_FLIGHT' })
    await clock.advance(LEASE_MS)
    expect(await process().execute(() => 'second', same)).toBe('second')
  })
})

describe('a result that cannot be kept', () => {
  it('because it has no encoding is an error for all, and the work is not done again', async () => {
    const { process } = newWorld()
    const policy = process()
    let runs = 0
    const first = await errorOf(policy.execute(() => BigInt((runs += 1)), same))
    expect(first).toMatchObject({
      code: 'HF_UNKNOWN_OUTCOME',
      message: expect.stringMatching(/was done.*BigInt/) as string,
    })
    const again = await errorOf(policy.execute(() => (runs += 1), same))
    expect(again).toMatchObject({ code: 'HF_UNKNOWN_OUTCOME', message: (first as Error).message })
    expect(runs).toBe(1)
  })

  it('because it is too large is its caller’s, and an error for those who come later', async () => {
    const { process } = newWorld()
    const policy = process()
    const large = 'x'.repeat(256 * 1024)
    expect(await policy.execute(() => large, same)).toBe(large)
    expect(await errorOf(policy.execute(() => 'no', same))).toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
  })

  it('because it cannot be read is an error', async () => {
    const { process } = newWorld()
    await process().execute(() => 'done', same)
    const decode = (): never => {
      throw new Error('another version')
    }
    const other = process({ encode: String, decode })
    expect(await errorOf(other.execute(() => 'no', same))).toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
  })

  it('may have an encoding of its own', async () => {
    const { process } = newWorld()
    const policy = process({
      encode: value => Uint8Array.of(Number(value as bigint)),
      decode: bytes => BigInt(bytes[0] ?? 0),
    })
    expect(await policy.execute(() => 7n, same)).toBe(7n)
    expect(await policy.execute(() => 8n, same)).toBe(7n)
  })
})

describe('the options of idempotent', () => {
  const backend = memoryBackend()

  it.each([
    [{ scope: 'a' }, 'backend'],
    [{ scope: 'a', backend, store: backend.idempotency }, 'backend'],
    [{ backend }, 'scope'],
    [{ backend, scope: 'x'.repeat(91) }, 'scope'],
    [{ backend, scope: 'a', leaseMs: 299 }, 'leaseMs'],
    [{ backend, scope: 'a', keepMs: 10 }, 'keepMs'],
    [{ backend, scope: 'a', waitMs: 0 }, 'waitMs'],
    [{ backend, scope: 'a', onLost: 'retry' }, 'onLost'],
    [{ backend, scope: 'a', required: true }, 'required'],
    [{ backend, scope: 'a', whenInFlight: 'queue' }, 'whenInFlight'],
    [{ backend, scope: 'a', whenUnavailable: 'open' }, 'whenUnavailable'],
    [{ backend, scope: 'a', keepFailure: true }, 'keepFailure'],
    [{ backend, scope: 'a', encode: String }, 'encode'],
    [{ backend, scope: 'a', mode: 'shadow' }, 'mode'],
    [{ backend, scope: 'a', mode: 'off' }, 'mode'],
    [{ backend, scope: 'a', ttlMs: 5 }, 'ttlMs'],
  ])('%# are refused for one that is wrong', (options, argument) => {
    const make = (): Policy => idempotent(options as unknown as IdempotentOptions)
    expect(make).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT', argument }))
  })

  it.each([[''], ['x'.repeat(256)], ['a\u0000']])('do not save a call with the key %j', async idempotencyKey => {
    const policy = idempotent({ backend, scope: 'a' })
    expect(await errorOf(policy.execute(() => 'no', { idempotencyKey }))).toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})
