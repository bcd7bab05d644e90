import type { Grant, LeaseRequest } from '../../ports/leases.ts'
import type { Scheduler } from './scheduler.ts'

interface Wait {
  readonly machine: string
  readonly fromMs: number
  /** `Infinity` while it goes on. */
  untilMs: number
}

/** Below this no renewal is due: what is sent so soon after the grant for all of its time is what its holder leaves behind. */
const AT_ONCE_MS = 1
/** Clocks run by less than this too slow or too fast. */
const DRIFT_RATIO = 0.01

/**
 * What clients asked the store for, by true time: how long each waited for it, and what they leave there on purpose
 * (`lockDelayMs`, `lockAtLeastForMs`). The store cannot tell: a question can reach it again when nobody waits for the answer any more.
 */
export class Requests {
  readonly #scheduler: Scheduler
  readonly #waits = new Map<string, Wait>()
  readonly #restsUntilMs = new Map<string, number>()
  #ttlMsMax = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** The longest TTL that was asked for. */
  get ttlMsMax(): number {
    return this.#ttlMsMax
  }

  /** Until when something is left on purpose, as far as it was asked for. */
  get restsUntilMs(): number {
    return Math.max(0, ...this.#restsUntilMs.values())
  }

  /** Waits from now on. */
  asked(machine: string, { requestId }: LeaseRequest, ttlMs: number): void {
    this.#waits.set(requestId, { machine, fromMs: this.#scheduler.nowMs, untilMs: Infinity })
    this.#ttlMsMax = Math.max(this.#ttlMsMax, ttlMs)
  }

  /** Has it, or has given up. */
  settled({ requestId }: LeaseRequest): void {
    const wait = this.#waits.get(requestId)
    if (wait !== undefined) this.#end(wait)
  }

  /** Nobody waits there any more. */
  killed(machine: string): void {
    for (const wait of this.#waits.values()) if (wait.machine === machine) this.#end(wait)
  }

  /** A renewal is sent: a holder's last one says for how long others are to stay out, if it is for less than was asked for. */
  renewing({ request: { requestId } }: Grant, ttlMs: number, storeTtlMs: number): void {
    const { nowMs } = this.#scheduler
    const isAtOnce = nowMs - (this.#waits.get(requestId)?.untilMs ?? 0) < AT_ONCE_MS
    if (ttlMs < storeTtlMs || (ttlMs === storeTtlMs && isAtOnce)) {
      this.#restsUntilMs.set(requestId, nowMs + ttlMs * (1 + DRIFT_RATIO))
    } else this.#restsUntilMs.delete(requestId)
  }

  /** Nothing is left of it. */
  releasing({ request: { requestId } }: Grant): void {
    this.#restsUntilMs.delete(requestId)
  }

  /** When it was asked for; before all, when nobody did. */
  askedAtMs(id: string): number {
    return this.#waits.get(id)?.fromMs ?? 0
  }

  /** For how long it has waited, or did, since then; not above 0 when it did not. */
  waitedMs(id: string, sinceMs: number): number {
    const wait = this.#waits.get(id)
    if (wait === undefined) return 0
    return Math.min(wait.untilMs, this.#scheduler.nowMs) - Math.max(wait.fromMs, sinceMs)
  }

  #end(wait: Wait): void {
    wait.untilMs = Math.min(wait.untilMs, this.#scheduler.nowMs)
  }
}
