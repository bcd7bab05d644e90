import type { Clock } from '@holdfast/core'
import { checkBoolean, Emitter, InvalidArgumentError, reportListenerError, systemClock } from '@holdfast/core'
import type { Event } from 'cockatiel'
import type { Call } from '../call.ts'
import { checkInteger, checkMs, checkNumber, checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import { checkBudget } from '../retry/options.ts'
import type { RetryBudget } from '../retry/retry-budget.ts'
import { retryBudget } from '../retry/retry-budget.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next, StageOptions } from '../stage.ts'
import { HedgedCall } from './hedged-call.ts'
import { Latencies } from './latencies.ts'

/** @see hedge */
export interface HedgeOptions extends StageOptions {
  /** Another attempt is begun when the first one has taken longer than this part of the last 1000 calls, in [0.5, 0.999]. @default 0.95 */
  readonly quantile?: number
  /** Another attempt is begun after this many milliseconds, whatever calls take otherwise. It replaces `quantile`. */
  readonly delayMs?: number
  /** How many attempts there may be beside the first one: an integer from 1 to 5. @default 1 */
  readonly maxHedges?: number
  /** That all that runs under this policy may be done twice without harm. @default false: only calls that say so are hedged */
  readonly idempotent?: boolean
  /** An attempt that fails so is waited out while another is under way. @default every error */
  readonly handle?: FailureFilter
  /** What hedges are paid from; false: nothing limits them. @default one of its own: `retryBudget({ ratio: 0.05 })` */
  readonly budget?: RetryBudget | false
  /** Read once, when the policy is made. @default the system's clock */
  readonly clock?: Clock
}

/** What `onHedge` and `onHedgeWon` tell. */
export interface Hedged {
  /** 2 is the first hedge. */
  readonly attempt: number
  readonly delayMs: number
}

/** A hedge, as its users have it. */
export interface HedgePolicy extends Policy {
  /** Another attempt is begun. */
  readonly onHedge: Event<Hedged>
  /** It was the one that succeeded first. */
  readonly onHedgeWon: Event<Hedged>
}

interface HedgeRule extends StageOptions {
  readonly quantile: number
  readonly delayMs: number | undefined
  readonly maxHedges: number
  readonly idempotent: boolean
  readonly filter: Filter
  readonly budget: RetryBudget | false | undefined
  readonly clock: Clock
}

const DEFAULTS = Object.freeze({
  quantile: 0.95,
  delayMs: undefined,
  maxHedges: 1,
  idempotent: false,
  budget: undefined,
  clock: systemClock,
})

const KNOWN: ReadonlySet<string> = new Set([...Object.keys(DEFAULTS), 'handle', 'name', 'mode'])

const BUDGET_RATIO = 0.05
// With fewer, a quantile says nothing. Refreshed as Finagle does it.
const SAMPLES_MIN = 50
const REFRESH_MS = 3_000
const DELAY_MS_MIN = 1

/**
 * Begins another attempt when the first one takes unusually long, takes the result of whichever succeeds first, and tells the others to
 * stop. It cuts what a few slow calls add to the slowest percent.
 *
 * - Only calls that say `idempotent: true` are hedged, or all with the option of that name.
 * - How long is unusual is learnt from the calls themselves: before 50 have succeeded nothing is hedged.
 * - An attempt that fails before another was begun fails the call: to do it again is what `retry` is for. If all fail, the call ends
 *   as its first attempt did.
 * - Hedges are paid from a budget. Where that is used up the call goes on with the attempt that it has.
 *
 * The work can tell the second attempt by `attempt`, which is 2, and take another instance for it.
 * In `shadow` nothing is begun, and tools are told what would have been (`wouldHedge`).
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @see Dean & Barroso, The Tail at Scale (2013); Finagle `BackupRequestFilter`
 */
export function hedge(options: LiveOptions<HedgeOptions> = {}): HedgePolicy {
  const layer = new HedgeLayer(openRule<HedgeOptions, HedgeRule>('hedge', options, checked))
  const events = { onHedge: layer.on('hedged'), onHedgeWon: layer.on('won') }
  return policyOf(layer, events)
}

function checked(options: HedgeOptions): HedgeRule {
  checkStageOptions('hedge', options, KNOWN)
  if (options.delayMs !== undefined && options.quantile !== undefined) {
    throw new InvalidArgumentError('delayMs', 'Expected `delayMs` or `quantile` of hedge, got both.')
  }
  const { handle, ...given } = options
  const rule = { ...DEFAULTS, ...given, filter: handle === undefined ? EVERY_ERROR : filterOf(handle) }
  checkNumber('quantile', rule.quantile, { min: 0.5, max: 0.999 })
  if (rule.delayMs !== undefined) checkMs('delayMs', rule.delayMs, DELAY_MS_MIN)
  checkInteger('maxHedges', rule.maxHedges, { min: 1, max: 5 })
  checkBoolean('idempotent', rule.idempotent)
  if (rule.budget !== false) checkBudget(rule.budget)
  return rule
}

// It is asked by a timer: what a budget of a user's own throws there would end the process.
function pays(budget: RetryBudget): boolean {
  try {
    return budget.tryWithdraw()
  } catch (error) {
    reportListenerError('resilience.hedge', error)
    return false
  }
}

const EVERY_ERROR: Filter = { isFailure: () => true, isFailedResult: () => false }

interface HedgeEvents {
  hedged: Hedged
  won: Hedged
}

class HedgeLayer implements Layer {
  readonly kind = 'layer'
  readonly policy = 'hedge'
  readonly clock: Clock
  readonly rule: Rule<HedgeRule>
  readonly #events = new Emitter<HedgeEvents>('resilience.hedge')
  readonly #latencies = new Latencies({ refreshMs: REFRESH_MS, samplesMin: SAMPLES_MIN })
  readonly #ownBudget: RetryBudget
  #hedges = 0
  #won = 0
  #wouldHedge = 0
  #unpaid = 0

  constructor(rule: Rule<HedgeRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.#ownBudget = retryBudget({ ratio: BUDGET_RATIO, clock: this.clock })
  }

  on<Name extends keyof HedgeEvents>(name: Name): Event<HedgeEvents[Name]> {
    return listener => {
      const subscription = this.#events.on(name, listener)
      return { dispose: () => subscription.close() }
    }
  }

  async run(call: Call, next: Next): Promise<unknown> {
    const rule = this.rule.current
    if (call.isCancelled) throw call.reason
    if (!call.idempotent && !rule.idempotent) return next(call)
    const startedAtMs = this.clock.monotonicMs()
    const delayMs = this.#delayMs(rule, startedAtMs)
    const budget = this.#budgetOf(call, rule)
    const value = await (delayMs === undefined
      ? next(call)
      : new HedgedCall(call, next, {
          delayMs,
          maxHedges: rule.maxHedges,
          filter: rule.filter,
          mayHedge: attempt => this.#mayHedge(call, budget, { attempt, delayMs }),
          won: attempt => this.#hasWon({ attempt, delayMs }),
        }).run())
    // As long as the first attempt took, or had taken when another one won: it belongs to the slow ones then, and is counted there.
    if (!rule.filter.isFailedResult(value)) this.#latencies.add(this.clock.monotonicMs() - startedAtMs)
    return value
  }

  describe(): Readonly<Record<string, unknown>> {
    const { budget = this.#ownBudget, ...rule } = this.rule.current
    return {
      delayMs: this.#delayMs(rule, this.clock.monotonicMs()),
      samples: this.#latencies.count,
      hedges: this.#hedges,
      won: this.#won,
      wouldHedge: this.#wouldHedge,
      unpaid: this.#unpaid,
      ...(budget !== false && { budgetBalance: budget.balance }),
    }
  }

  #delayMs({ delayMs, quantile }: Pick<HedgeRule, 'delayMs' | 'quantile'>, nowMs: number): number | undefined {
    if (delayMs !== undefined) return delayMs
    const learntMs = this.#latencies.quantileMs(quantile, nowMs)
    return learntMs === undefined ? undefined : Math.max(DELAY_MS_MIN, learntMs)
  }

  // A budget that its user gave is also what retries inside are paid from, and a call pays for itself once.
  #budgetOf(call: Call, { budget, mode }: HedgeRule): RetryBudget | undefined {
    if (budget === false) return undefined
    const used = budget ?? this.#ownBudget
    if (call.budget !== used) used.deposit()
    // In shadow it changes nothing further in either.
    if (budget !== undefined && mode !== 'shadow') call.budget ??= budget
    return used
  }

  #mayHedge(call: Call, budget: RetryBudget | undefined, hedged: Hedged): boolean {
    if (call.remainingMs <= 0) return false
    if (this.rule.current.mode === 'shadow') {
      this.#wouldHedge += 1
      tellTools(this, 'wouldHedge', { ...hedged })
      return false
    }
    if (budget !== undefined && !pays(budget)) {
      this.#unpaid += 1
      tellTools(this, 'hedgeBudgetExhausted', { ...hedged })
      return false
    }
    this.#hedges += 1
    tellTools(this, 'hedged', { ...hedged })
    this.#events.emit('hedged', hedged)
    return true
  }

  #hasWon(hedged: Hedged): void {
    if (hedged.attempt === 1) return
    this.#won += 1
    tellTools(this, 'hedgeWon', { ...hedged })
    this.#events.emit('won', hedged)
  }
}
