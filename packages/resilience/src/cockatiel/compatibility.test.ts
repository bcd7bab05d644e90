import type { IDefaultPolicyContext, IPolicy as IPolicy3 } from 'cockatiel-3'
import type { IPolicy as IPolicy4 } from 'cockatiel-4'
import { fallback as fallback4, handleAll as handleAll4, noop as noop4, wrap as wrap4 } from 'cockatiel-4'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import type { CallContext } from '../call.ts'
import { coalesce } from '../coalesce/coalesce.ts'
import { fallback } from '../fallback/fallback.ts'
import { pipeline } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { retry } from '../retry/retry.ts'
import { timeout } from '../timeout/timeout.ts'
import { COCKATIELS, turn } from './cockatiels.fixture.ts'

/** What cockatiel takes; a pipeline of ours takes less. */
type AnyPolicy = IPolicy3<IDefaultPolicyContext, unknown>
type Cockatiel = (typeof COCKATIELS)[number]['cockatiel']

class Reduced extends Error {}

const OURS: Readonly<Record<string, () => AnyPolicy>> = {
  circuitBreaker: () => circuitBreaker(),
  bulkhead: () => bulkhead({ limit: 5 }),
  timeout: () => timeout({ timeoutMs: 60_000 }),
  retry: () => retry({ maxAttempts: 2, baseMs: 1, capMs: 1 }),
  fallback: () => fallback('reduced', { handle: error => error instanceof Reduced }),
  coalesce: () => coalesce(),
  pipeline: () =>
    pipeline(retry({ maxAttempts: 2, baseMs: 1, capMs: 1 }), bulkhead({ limit: 5 }), timeout({ timeoutMs: 60_000 })),
  'a pipeline of nothing': () => pipeline(),
}

const THEIRS: Readonly<Record<string, (cockatiel: Cockatiel) => AnyPolicy>> = {
  noop: ({ noop }) => noop,
  retry: ({ retry: make, handleAll, ConstantBackoff }) =>
    make(handleAll, { maxAttempts: 1, backoff: new ConstantBackoff(1) }),
  circuitBreaker: ({ circuitBreaker: make, handleAll, ConsecutiveBreaker }) =>
    make(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(100) }),
  timeout: ({ timeout: make, TimeoutStrategy }) =>
    make(60_000, { strategy: TimeoutStrategy.Cooperative, abortOnReturn: false }),
  bulkhead: ({ bulkhead: make }) => make(5, 5),
  fallback: ({ fallback: make, handleType }) => make(handleType(Reduced), 'reduced'),
}

/** A stack of three: `one` at a position, `other` at the two others. */
function stackOf(position: number, one: () => AnyPolicy, other: () => AnyPolicy): [AnyPolicy, AnyPolicy, AnyPolicy] {
  const at = (index: number): AnyPolicy => (index === position ? one() : other())
  return [at(0), at(1), at(2)]
}

interface Passed {
  readonly value: unknown
  readonly isErrorTheSame: boolean
  readonly runsBeforeAbort: number
  readonly doAllRunsHearOfAbort: boolean
  readonly atAbort: string
}

/** What is expected of any stack of policies that have nothing to refuse. */
const UNCHANGED: Passed = {
  value: 'value',
  isErrorTheSame: true,
  runsBeforeAbort: 1,
  doAllRunsHearOfAbort: true,
  atAbort: 'rejected',
}

async function passedThrough(policy: Pick<AnyPolicy, 'execute'>): Promise<Passed> {
  const value: unknown = await policy.execute(() => 'value')
  const error = new Error('down')
  const [failed] = await Promise.allSettled([policy.execute(() => Promise.reject(error))])
  const caller = new AbortController()
  let runs = 0
  let aborted = 0
  const run = policy.execute(async ({ signal }) => {
    runs += 1
    if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
    aborted += 1
    throw signal.reason
  }, caller.signal)
  await turn()
  const runsBeforeAbort = runs - aborted
  caller.abort(new Error('gone'))
  const [ended] = await Promise.allSettled([run])
  const isErrorTheSame = failed.status === 'rejected' && failed.reason === error
  return { value, isErrorTheSame, runsBeforeAbort, doAllRunsHearOfAbort: aborted === runs, atAbort: ended.status }
}

const positions = [0, 1, 2]
const combinations = Object.keys(OURS).flatMap(ours =>
  Object.keys(THEIRS).flatMap(theirs => positions.map(position => ({ ours, theirs, position }))),
)

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  it.each(combinations)(
    'has our $ours at position $position of its `wrap`, among its $theirs: results, errors and aborts pass through',
    async ({ ours, theirs, position }) => {
      const stack = stackOf(position, OURS[ours] as () => AnyPolicy, () =>
        (THEIRS[theirs] as (c: Cockatiel) => AnyPolicy)(cockatiel),
      )
      await expect(passedThrough(cockatiel.wrap(...stack) as AnyPolicy)).resolves.toEqual(UNCHANGED)
    },
  )

  it.each(combinations)(
    'has its $theirs at position $position of our pipeline, among our $ours: results, errors and aborts pass through',
    async ({ ours, theirs, position }) => {
      const stack = stackOf(
        position,
        () => (THEIRS[theirs] as (c: Cockatiel) => AnyPolicy)(cockatiel),
        OURS[ours] as () => AnyPolicy,
      )
      await expect(passedThrough(pipeline(...stack))).resolves.toEqual(UNCHANGED)
    },
  )

  it('tells work of its attempts as we do, from 1, where its retry stands in our pipeline', async () => {
    for (const position of positions) {
      const attempts: number[] = []
      const theirs = (): AnyPolicy =>
        cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2, backoff: new cockatiel.ConstantBackoff(1) })
      const policy = pipeline(...stackOf(position, theirs, () => bulkhead({ limit: 5 })))
      const work = ({ attempt }: CallContext): Promise<never> => {
        attempts.push(attempt)
        return Promise.reject(new Error('down'))
      }
      await expect(policy.execute(work)).rejects.toThrow('down')
      expect(attempts).toEqual([1, 2, 3])
    }
  })

  it('lets our retry see each attempt, where that stands in its `wrap`', async () => {
    const ours = retry({ maxAttempts: 3, baseMs: 1, capMs: 1 })
    const policy = cockatiel.wrap(cockatiel.noop, ours, cockatiel.bulkhead(5)) as AnyPolicy
    let runs = 0
    const answer = policy.execute(context => {
      expect(context).toMatchObject({ attempt: ++runs, priority: 'normal' })
      return runs < 3 ? Promise.reject(new Error('down')) : 'well'
    })
    await expect(answer).resolves.toBe('well')
  })

  it('leaves work the deadline, the key and the priority that our pipeline was given', async () => {
    for (const theirs of Object.values(THEIRS)) {
      const policy = pipeline(bulkhead({ limit: 5 }), theirs(cockatiel), circuitBreaker())
      const seen = policy.execute(({ key, priority, remainingMs }) => [key, priority, remainingMs <= 60_000], {
        key: 'acme',
        priority: 'high',
        timeoutMs: 60_000,
      })
      await expect(seen).resolves.toEqual(['acme', 'high', true])
    }
  })

  it('answers for our pipeline with its fallback, and is answered for with ours, in every position', async () => {
    const fails = (): Promise<never> => Promise.reject(new Reduced())
    for (const position of positions) {
      const [theirs, ours] = [THEIRS['fallback'] as (c: Cockatiel) => AnyPolicy, OURS['fallback'] as () => AnyPolicy]
      const inOurs = pipeline(
        ...stackOf(
          position,
          () => theirs(cockatiel),
          () => bulkhead({ limit: 5 }),
        ),
      )
      await expect(inOurs.execute(fails)).resolves.toBe('reduced')
      const inTheirs = cockatiel.wrap(...stackOf(position, ours, () => cockatiel.bulkhead(5, 5))) as AnyPolicy
      await expect(inTheirs.execute(fails)).resolves.toBe('reduced')
    }
  })

  it('refuses with its own errors in our pipeline, which our breaker and retry take for refusals', async () => {
    const broken = cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 60_000,
      breaker: new cockatiel.ConsecutiveBreaker(1),
    })
    const ours = circuitBreaker({ window: { kind: 'count', size: 1 }, minCalls: 1 })
    const policy = pipeline(retry({ maxAttempts: 5, baseMs: 1, capMs: 1 }), ours, broken)
    const handle = broken.isolate()
    let runs = 0
    await expect(policy.execute(() => (runs += 1))).rejects.toMatchObject({ isBrokenCircuitError: true })
    handle.dispose()
    await expect(policy.execute(() => (runs += 1))).resolves.toBe(1)
    expect(ours.describe().state).toMatchObject({ circuit: 'closed', failures: 0 })
  })

  it('is told of our refusals as of errors, by their code', async () => {
    const ours = bulkhead({ limit: 1, queue: 0 })
    const policy = cockatiel.wrap(cockatiel.bulkhead(5, 5), ours) as AnyPolicy
    let finish = (_value: unknown): void => {}
    const first = policy.execute(() => new Promise(resolve => (finish = resolve)))
    await expect(policy.execute(() => 1)).rejects.toMatchObject({
      code: 'HF_REJECTED',
      rejection: { reason: 'queue-full' },
    })
    finish('done')
    await expect(first).resolves.toBe('done')
  })
})

describe('types', () => {
  it('of a policy fit those of cockatiel 3 and 4', () => {
    const ours: Policy = pipeline()
    const three: IPolicy3<CallContext> = ours
    const four: IPolicy4<CallContext> = ours
    const withAlt: IPolicy4<CallContext, string> = fallback('reduced')
    expect([three, four, withAlt]).toHaveLength(3)
  })

  it('of what stands in for a result come out of a pipeline, and of a `wrap`', async () => {
    const piped = pipeline(fallback4(handleAll4, 'theirs'), fallback(7), timeout({ timeoutMs: 5 })).execute(() => true)
    expectTypeOf(piped).resolves.toEqualTypeOf<boolean | string | number>()
    const plain = pipeline(timeout({ timeoutMs: 5 }), noop4).execute(() => true)
    expectTypeOf(plain).resolves.toEqualTypeOf<boolean>()
    const wrapped = wrap4(fallback('ours'), timeout({ timeoutMs: 5 }), noop4).execute(() => true)
    expectTypeOf(wrapped).resolves.toEqualTypeOf<boolean | string>()
    await expect(Promise.all([piped, plain, wrapped])).resolves.toEqual([true, true, true])
  })
})
