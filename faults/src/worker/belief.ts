import { monotonicMs } from '../monotonic.ts'
import type { Held } from './contender.ts'
import type { HoldReport } from './protocol.ts'

// How often a holder's view is noted: a renewal that is seen this late is missed at worst by a process that is stopped right then.
const SAMPLE_MS = 5

/** Notes from when to when a holder believed that it held. */
export class Belief {
  readonly held: Held
  readonly #acquiredAtMs = monotonicMs()
  readonly #timer: ReturnType<typeof setInterval>
  #validUntilMs: number
  #lostAtMs: number | undefined
  #isOver = false
  #sampledAtMs = monotonicMs()
  #stalledMs = 0

  constructor(held: Held, onLost: (report: HoldReport) => void) {
    this.held = held
    this.#validUntilMs = this.#acquiredAtMs + held.remainingMs()
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS)
    this.#timer.unref()
    held.onLost(() => {
      this.#lostAtMs = monotonicMs()
      this.#stalledMs = Math.max(0, this.#lostAtMs - this.#sampledAtMs - SAMPLE_MS)
      this.#end()
      onLost(this.report())
    })
  }

  report(): HoldReport {
    this.#sample()
    const { token, ttlMs, guarantee } = this.held
    return {
      token,
      ttlMs,
      guarantee,
      acquiredAtMs: this.#acquiredAtMs,
      validUntilMs: this.#validUntilMs,
      lostAtMs: this.#lostAtMs,
      stalledMs: this.#stalledMs,
      provenAtMs: this.held.provenAtMs(),
    }
  }

  async release(): Promise<HoldReport> {
    this.#sample()
    this.#end()
    await this.held.release()
    return this.report()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #sample(): void {
    if (this.#isOver) return
    const nowMs = monotonicMs()
    this.#sampledAtMs = nowMs
    const remainingMs = this.held.remainingMs()
    if (remainingMs > 0) this.#validUntilMs = Math.max(this.#validUntilMs, nowMs + remainingMs)
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.stop()
    this.#validUntilMs = Math.min(this.#validUntilMs, monotonicMs())
  }
}
