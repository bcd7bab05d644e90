import type { Clock } from '@holdfast/core'
import { InvalidArgumentError, show, systemClock } from '@holdfast/core'
import type { IDefaultPolicyContext, IPolicy } from 'cockatiel'
import type { CallContext, CallOptions } from './call.ts'
import { Call, runWork } from './call.ts'
import { callFrom } from './call-options.ts'
import { registerPolicy } from './describe.ts'
import { GateRun } from './gates.ts'
import type { Policy, PolicyDescription, WrapOptions } from './policy.ts'
import { endedOf, Probe } from './policy.ts'
import type { Layer, Next, Stage } from './stage.ts'
import { runInTime } from './timeout/call-time.ts'

// Of this copy of the package alone: a policy of another one is foreign here, as cockatiel's are.
const PARTS = Symbol('holdfast.resilience.parts')

/** What a pipeline is made of: a policy of ours, or anything else that can be put around what is inside it. */
type Part = Probe | { readonly around: (next: Next) => Next; readonly clock: Clock | undefined }

/**
 * A policy of ours or of cockatiel, or of a user's own that does as cockatiel's do. Without their events: those of cockatiel 3 and 4 have
 * different types, and both may stand in a pipeline.
 */
export type AnyPolicy = Pick<IPolicy<IDefaultPolicyContext, unknown>, '_altReturn' | 'execute'>

type AltOf<P> = P extends { readonly _altReturn: infer Alt } ? Alt : never

/** Policies as one. */
export interface Pipeline<Alt = never> extends Policy<Alt> {
  /** The policies it was made of, outermost first. */
  readonly wrapped: readonly AnyPolicy[]
}

/**
 * Puts policies around each other, **outermost first**, and fuses them: those that only admit or refuse and stand side by side run as
 * one function, with one reading of the clock before and one behind. Policies of cockatiel may stand anywhere in it.
 *
 * An order that has proven itself: idempotent, fallback, shed, rateLimit, hedge, retry, circuitBreaker, adaptive or bulkhead,
 * timeout (of an attempt).
 *
 * @example
 * const policy = pipeline(retry({ maxAttempts: 3 }), circuitBreaker(), timeout({ timeoutMs: 800 }))
 * const response = await policy.execute(({ signal }) => fetch(url, { signal }))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no policy, and for policies of different clocks.
 */
export function pipeline<const Policies extends readonly AnyPolicy[]>(
  ...policies: Policies
): Pipeline<AltOf<Policies[number]>> {
  const parts = policies.flatMap(partsOf)
  const stage = pipelineStage(policies, clockOf(parts))
  return makePolicy<AltOf<Policies[number]>, { wrapped: Policies }>(stage, parts, { wrapped: policies })
}

/**
 * A policy from its stage, with what is its own beside it.
 *
 * @param own methods and getters that the policy has besides those of all policies.
 */
export function policyOf<Own extends object, Alt = never>(stage: Stage, own: Own): Policy<Alt> & Own {
  return makePolicy<Alt, Own>(stage, [new Probe(stage)], own)
}

function makePolicy<Alt, Own extends object>(stage: Stage, parts: readonly Part[], own: Own): Policy<Alt> & Own {
  const shell = new PolicyShell(stage, parts)
  registerPolicy(shell)
  return Object.defineProperties(shell, Object.getOwnPropertyDescriptors(own)) as unknown as Policy<Alt> & Own
}

function pipelineStage(policies: readonly AnyPolicy[], clock: Clock): Stage {
  return {
    kind: 'layer',
    policy: 'pipeline',
    clock,
    rule: undefined,
    describe: () => ({ policies: policies.map(policy => (policy as { name?: string }).name ?? 'foreign') }),
    run: (call, next) => next(call),
  }
}

class PolicyShell implements Omit<Policy<unknown>, '_altReturn'> {
  readonly [PARTS]: readonly Part[]
  readonly #probe: Probe
  readonly #run: Next
  readonly #clock: Clock

  constructor(stage: Stage, parts: readonly Part[]) {
    const [only] = parts
    this.#probe = parts.length === 1 && only instanceof Probe && only.stage === stage ? only : new Probe(stage)
    // Inside another pipeline it is one part of it, which tells of its own ends; alone it begins with that.
    this[PARTS] =
      only === this.#probe
        ? parts
        : [{ around: next => counted(this.#probe, compiled(parts, next)), clock: clocksOf(parts)[0] }]
    this.#run = compiled(this[PARTS], undefined)
    this.#clock = stage.clock
  }

  get name(): string {
    return this.#probe.name
  }

  get onSuccess(): Policy['onSuccess'] {
    return this.#probe.onSuccess
  }

  get onFailure(): Policy['onFailure'] {
    return this.#probe.onFailure
  }

  execute<T>(work: (context: CallContext) => PromiseLike<T> | T, options?: AbortSignal | CallOptions): Promise<T> {
    if (typeof work !== 'function') return Promise.reject(noFunction('execute', work))
    if (options !== undefined) return this.#executeWith(work, options)
    try {
      return this.#run(new Call(work, { clock: this.#clock })) as Promise<T>
    } catch (error) {
      // A policy of a user's own may throw before it returns a promise.
      return Promise.reject(error)
    }
  }

  wrap<This, Args extends unknown[], T>(
    work: (this: This, ...args: Args) => PromiseLike<T> | T,
    { options }: WrapOptions<Args> = {},
  ): (this: This, ...args: Args) => Promise<T> {
    if (typeof work !== 'function') throw noFunction('wrap', work)
    const execute = this.execute.bind(this)
    return function wrapped(this: This, ...args) {
      try {
        return execute<T>(() => work.apply(this, args), options?.(...args))
      } catch (error) {
        return Promise.reject(error)
      }
    }
  }

  describe(): PolicyDescription {
    return this.#probe.describe()
  }

  close(): void {
    this.#probe.stage.close?.()
    this.#probe.stage.rule?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #executeWith<T>(
    work: (context: CallContext) => PromiseLike<T> | T,
    options: AbortSignal | CallOptions,
  ): Promise<T> {
    const call = callFrom(work, this.#clock, options)
    const isTimed = !(options instanceof AbortSignal) && options.timeoutMs !== undefined
    try {
      return (await (isTimed ? runInTime(call, this.#run) : this.#run(call))) as T
    } finally {
      call.end()
    }
  }
}

function noFunction(method: string, work: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    'work',
    `Expected the first argument of ${method} to be a function, got ${show(work)}.`,
  )
}

/** From parts to a function: gates side by side become one, a layer runs what is inside it. */
function compiled(parts: readonly Part[], inside: Next | undefined): Next {
  let next = inside
  for (let index = parts.length - 1; index >= 0;) {
    const gates: Probe[] = []
    for (let part = parts[index]; part instanceof Probe && part.stage.kind === 'gate'; part = parts[--index])
      gates.unshift(part)
    if (gates.length > 0) {
      const run = new GateRun(gates, next ?? begun)
      next = call => run.run(call)
    } else {
      const part = parts[index--] as Part
      next = around(part, next ?? begun)
    }
  }
  return next ?? begun
}

/** The work, begun. Not an async function: a promise of the work is passed on as it is, which saves one for every call. */
function begun(call: Call): Promise<unknown> {
  try {
    return Promise.resolve(runWork(call))
  } catch (error) {
    return Promise.reject(error)
  }
}

function around(part: Part, next: Next): Next {
  if (!(part instanceof Probe)) return part.around(next)
  const layer = part.stage as Layer
  const told = counted(part, call => layer.run(call, next))
  return call => (part.mode === 'off' ? next(call) : told(call))
}

function counted(probe: Probe, run: Next): Next {
  return call => {
    probe.admitted += 1
    return probe.isHeard ? runHeard(probe, run, call) : run(call)
  }
}

async function runHeard(probe: Probe, run: Next, call: Call): Promise<unknown> {
  const startedAtMs = call.clock.monotonicMs()
  try {
    const value = await run(call)
    probe.tellEnd(endedOf(call, false, value, startedAtMs))
    return value
  } catch (error) {
    probe.tellEnd(endedOf(call, true, error, startedAtMs))
    throw error
  }
}

function partsOf(policy: AnyPolicy): readonly Part[] {
  const own = (policy as { readonly [PARTS]?: readonly Part[] } | null)?.[PARTS]
  if (own !== undefined) return own
  if (typeof (policy as Partial<AnyPolicy> | null)?.execute !== 'function') {
    throw new InvalidArgumentError(
      'policies',
      `Expected each argument of pipeline to be a policy, got ${show(policy)}.`,
    )
  }
  return [{ around: next => foreign(policy, next), clock: undefined }]
}

/** A policy that is not ours: what it tells its work is a signal of its own, and with cockatiel's `retry` an attempt. */
function foreign(policy: AnyPolicy, next: Next): Next {
  // A user's own may throw at once, or return what is not quite a promise.
  return async call =>
    await policy.execute(async context => {
      // A policy of a user's own may tell its work nothing.
      const told = context as { readonly signal?: AbortSignal; readonly attempt?: unknown } | undefined
      const inner = callFrom(call.work, call.clock, told?.signal ?? call.signal)
      inner.takeFrom(call)
      inner.nowMs = call.nowMs
      if (typeof told?.attempt === 'number') inner.attempt = attemptOf(call, told as { readonly attempt: number })
      try {
        return await next(inner)
      } finally {
        inner.end()
      }
    }, call.signal)
}

// cockatiel's `retry` counts from 0. What another copy of this package tells counts from 1, and knows nothing of attempts further out.
function attemptOf(call: Call, told: { readonly attempt: number }): number {
  return 'remainingMs' in told ? call.attempt + told.attempt - 1 : told.attempt + 1
}

function clockOf(parts: readonly Part[]): Clock {
  const [clock = systemClock, ...others] = clocksOf(parts)
  if (others.length === 0) return clock
  throw new InvalidArgumentError(
    'policies',
    `Expected all policies of a pipeline to have one \`clock\`, got ${others.length + 1}.`,
  )
}

/** The clock of a policy; undefined for one of cockatiel, and for a pipeline of them alone. */
export function clockOfPolicy(policy: AnyPolicy): Clock | undefined {
  return clocksOf(partsOf(policy))[0]
}

// Policies of cockatiel have none, nor has a pipeline of them alone.
function clocksOf(parts: readonly Part[]): readonly Clock[] {
  return [...new Set(parts.map(part => (part instanceof Probe ? part.stage.clock : part.clock)).filter(isGiven))]
}

function isGiven(clock: Clock | undefined): clock is Clock {
  return clock !== undefined
}
