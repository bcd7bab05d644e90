import type { Clock, Random } from '@holdfast/core'
import { systemClock, systemRandom } from '@holdfast/core'
import type { Call } from '../call.ts'
import { checkMs, checkNumber, checkStageOptions } from '../checks.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Ended, Gate, StageOptions } from '../stage.ts'
import type { LoadMonitor, LoadSample } from './load-monitor.ts'
import { processMonitor } from './load-monitor.ts'
import { COHORTS, cohortOf, LEVELS, tierOf } from './priority-level.ts'
import { RefuseRatio } from './refuse-ratio.ts'
import { ShedLevel } from './shed-level.ts'
import type { TurnQueue } from './turn-queue.ts'
import { turnQueueOf } from './turn-queue.ts'

/** How `shed` is made. */
export interface ShedOptions extends StageOptions {
  /**
   * The delay that is aimed at while the process is overloaded, in milliseconds, from 1: of the event loop, and of calls that wait
   * for a turn of it (`ownTurn`).
   *
   * @default 20
   */
  readonly targetDelayMs?: number
  /**
   * From which use of CPU on the process counts as busy, 0 to 1 of its cgroup's quota: then half the target is aimed at.
   *
   * @default 0.95
   */
  readonly cpuRatioMax?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** For calls without a key. @default systemRandom */
  readonly random?: Random
  /** What feels how the process is. @default the process itself */
  readonly monitor?: LoadMonitor
}

/** What `shed` has besides what all policies have. */
export interface Shed {
  /** How overloaded the process is, 0 to 1: the ratio of calls that the loop's delay alone would have refused. */
  readonly pressure: number
}

const KNOWN: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'targetDelayMs',
  'cpuRatioMax',
  'clock',
  'random',
  'monitor',
])

/** What options are left out mean. */
export const SHED_DEFAULTS: Readonly<{ targetDelayMs: number; cpuRatioMax: number }> = Object.freeze({
  targetDelayMs: 20,
  cpuRatioMax: 0.95,
})

type Settings = ShedOptions & typeof SHED_DEFAULTS

// How long calls may stand in the queue of turns while they do not stand there always, in targets: a burst is no overload.
const BURST_TARGETS = 10
// How long the lowest and the highest level may wait while a queue stands, in targets.
const LOWEST_TARGETS = 0.25
const HIGHEST_TARGETS = 4
// Of 100 ms each, in a row.
const EMPTY_SAMPLES = 3
const MS_PER_HOUR = 3_600_000
const HINT_MS = 1_000

/**
 * Refuses calls while the process is overloaded, those of low priority first, and of one priority by cohort: some users are served
 * well, not all badly. It needs no capacity to be told, and refuses nothing while there is no standing delay.
 *
 * Two things decide. Where calls begin in turns of their own (`ownTurn`), the wait in that queue is known on arrival: a standing
 * queue is held at the target. For all else that keeps the loop busy there is its delay, taken every 100 ms: a controller raises the
 * ratio of refused calls while it is above the target and lowers it while it is below.
 *
 * @see CoDel, as in folly (a standing minimum over 100 ms); DAGOR (Zhou et al., SoCC 2018: 20 ms, cohorts of users by the hour);
 * Cinnamon (a PI controller and tiers of 128 cohorts)
 */
export function shed(options: LiveOptions<ShedOptions> = {}): Policy & Shed {
  const gate = new ShedGate(openRule<ShedOptions, Settings>('shed', options, checked))
  return policyOf(gate, {
    get pressure() {
      return gate.pressure
    },
  })
}

function checked(given: ShedOptions): Settings {
  checkStageOptions('shed', given, KNOWN)
  const settings = { ...SHED_DEFAULTS, ...given }
  checkMs('targetDelayMs', settings.targetDelayMs, 1)
  checkNumber('cpuRatioMax', settings.cpuRatioMax, { min: 0, max: 1 })
  return settings
}

class ShedGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'shed'
  readonly clock: Clock
  readonly rule: Rule<Settings>
  readonly #random: Random
  readonly #turns: TurnQueue
  readonly #ratio = new RefuseRatio()
  readonly #level = new ShedLevel()
  readonly #unfollow: () => void
  #hour: number
  #sample: LoadSample = { loopDelayMs: 0, cpuRatio: 0 }
  #targetMs: number
  #hasStandingQueue = false
  #leastWaitMs = Infinity
  #emptySamples = 0

  constructor(rule: Rule<Settings>) {
    const { clock = systemClock, random = systemRandom, monitor = processMonitor(clock), targetDelayMs } = rule.current
    this.rule = rule
    this.clock = clock
    this.#random = random
    this.#targetMs = targetDelayMs
    this.#turns = turnQueueOf(clock)
    this.#hour = this.#hourNow()
    this.#unfollow = monitor.follow(sample => this.#feel(sample))
  }

  get pressure(): number {
    return this.#ratio.current
  }

  enter(call: Call): Admission {
    const tier = tierOf(call.priority)
    this.#level.saw(tier)
    const { waitMs } = this.#turns
    if (waitMs < this.#leastWaitMs) this.#leastWaitMs = waitMs
    // Most often there is nothing to decide.
    if (this.#level.current === 0 && waitMs === 0) return 0
    const level = tier * COHORTS + this.#cohortOf(call)
    if (level < this.#level.current || this.#turns.waitMsOf(tier) > this.#waitMsMax(level)) return this.#refuse()
    return 0
  }

  leave(_call: Call, _ticket: number, _ended: Ended): void {}

  undo(_call: Call, _ticket: number): void {}

  describe(): Readonly<Record<string, unknown>> {
    return {
      ...this.#sample,
      queueWaitMs: this.#turns.waitMs,
      pressure: this.pressure,
      level: this.#level.current,
      hasStandingQueue: this.#hasStandingQueue,
    }
  }

  close(): void {
    this.#unfollow()
  }

  // While a queue stands, calls of normal priority may wait for about the target: those above for much more, those below for less.
  #waitMsMax(level: number): number {
    if (!this.#hasStandingQueue) return this.#targetMs * BURST_TARGETS
    const height = level / LEVELS
    return this.#targetMs * (LOWEST_TARGETS + (HIGHEST_TARGETS - LOWEST_TARGETS) * height * height)
  }

  #cohortOf({ key }: Call): number {
    return key === undefined ? Math.floor(this.#random.next() * COHORTS) : cohortOf(key, this.#hour)
  }

  #refuse(): Admission {
    const { current, version } = this.rule
    return rejected({
      policy: this.policy,
      rule: current.name ?? this.policy,
      ruleVersion: version,
      reason: 'shed',
      retryAfterMs: HINT_MS,
      level: this.#level.current,
    })
  }

  #feel(sample: LoadSample): void {
    const { targetDelayMs, cpuRatioMax } = this.rule.current
    this.#sample = sample
    this.#hour = this.#hourNow()
    this.#targetMs = sample.cpuRatio >= cpuRatioMax ? targetDelayMs / 2 : targetDelayMs
    this.#followQueue()
    const before = this.#level.current
    this.#level.set(this.#ratio.next((sample.loopDelayMs - this.#targetMs) / this.#targetMs))
    if ((before === 0) !== (this.#level.current === 0)) {
      tellTools(this, before === 0 ? 'overloaded' : 'recovered', { ...sample, level: this.#level.current })
    }
  }

  // A queue that was never shorter than the target for 100 ms stands. It is over when it was empty now and then for a while.
  #followQueue(): void {
    const leastMs = this.#leastWaitMs
    this.#leastWaitMs = Infinity
    const wasEmpty = leastMs === 0 || leastMs === Infinity
    this.#emptySamples = wasEmpty ? this.#emptySamples + 1 : 0
    if (this.#emptySamples >= EMPTY_SAMPLES) this.#hasStandingQueue = false
    else if (!wasEmpty && leastMs > this.#targetMs) this.#hasStandingQueue = true
  }

  #hourNow(): number {
    return Math.floor(this.clock.wallMs() / MS_PER_HOUR)
  }
}
