import type { Clock } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import type { Call, CallContext } from '../call.ts'
import { checkFunction, checkInteger, checkStageOptions } from '../checks.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next, StageOptions } from '../stage.ts'
import { isInside, keyFrom, SharedRuns } from './shared-runs.ts'

/** What `coalesce` can be given. */
export interface CoalesceOptions extends StageOptions {
  /** Calls with the same key share a run; those without one run by themselves. @default the call's own `key` */
  readonly key?: (context: CallContext) => string | undefined
  /** Keys with a run under way, 1 to 1 000 000; calls with further keys run by themselves. @default 10_000 */
  readonly keysMax?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** Besides what all policies have. */
export interface CoalesceOwn {
  /** Keys that have a run under way. */
  readonly inFlight: number
}

const DEFAULTS = Object.freeze({ keysMax: 10_000, key: ({ key }: CallContext): string | undefined => key })
const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'key', 'keysMax', 'clock'])

type Settings = CoalesceOptions & Required<Pick<CoalesceOptions, 'key' | 'keysMax'>>

/**
 * Identical calls in flight share one run: the value and the error of the first are those of all. A caller that aborts leaves alone;
 * the run is cancelled when all have left. It has the priority of the one that began it, and no deadline: put a `timeout` inside.
 *
 * A call that the run itself makes, with its signal, runs by itself.
 *
 * Only for what may be shared: reads, with everything that the result depends on in the key, its user's rights as well. A value that
 * can be read once only (a `Response`) cannot be shared. In `shadow` calls run by themselves, and are reported as `wouldJoin`.
 *
 * @example
 * const once = coalesce()
 * const user = await once.execute(({ signal }) => readUser(id, { signal }), { key: `user/${id}` })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function coalesce(options: LiveOptions<CoalesceOptions> = {}): Policy & CoalesceOwn {
  const stage = new CoalesceStage(openRule<CoalesceOptions, Settings>('coalesce', options, checked))
  return policyOf(stage, {
    get inFlight() {
      return stage.runs.count
    },
  })
}

function checked(given: CoalesceOptions): Settings {
  checkStageOptions('coalesce', given, KNOWN)
  const settings = { ...DEFAULTS, ...given }
  checkFunction('key', settings.key)
  checkInteger('keysMax', settings.keysMax, { min: 1, max: 1_000_000 })
  return settings
}

class CoalesceStage implements Layer {
  readonly kind = 'layer'
  readonly policy = 'coalesce'
  readonly clock: Clock
  readonly rule: Rule<Settings>
  readonly runs: SharedRuns = new SharedRuns()
  #joined = 0

  constructor(rule: Rule<Settings>) {
    this.rule = rule
    this.clock = rule.current.clock ?? systemClock
  }

  async run(call: Call, next: Next): Promise<unknown> {
    if (call.isCancelled) throw call.reason
    const { key: keyOf, keysMax, mode } = this.rule.current
    const key = keyFrom(keyOf, call)
    if (key === undefined) return await next(call)
    const known = this.runs.find(key)
    if (known !== undefined && isInside(call, known)) return await next(call)
    if (known !== undefined) tellTools(this, mode === 'shadow' ? 'wouldJoin' : 'joined', { key })
    if (mode === 'shadow' || (known === undefined && this.runs.count >= keysMax)) return await next(call)
    if (known !== undefined) this.#joined += 1
    return await this.runs.join(known ?? this.runs.begin(key, call, next), call)
  }

  describe(): Readonly<Record<string, unknown>> {
    return { inFlight: this.runs.count, joined: this.#joined }
  }
}
