import type { Clock, Live } from '@holdfast/core'
import {
  ClosedError,
  InvariantError,
  LiveValue,
  UnavailableError,
  UnknownOutcomeError,
  assertNever,
  onAbort,
  orAborted,
} from '@holdfast/core'
import { describeIssue } from '../errors.ts'
import type { StoredCandidate } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Scope } from '../release/scope.ts'
import { selects } from '../release/selection.ts'
import type { Deployment, Settlement } from './admin.ts'
import type { CandidateOutcome } from './candidate-book.ts'
import { atStep, moveCandidate, promoteCandidate, withdrawCandidate } from './candidate-book.ts'
import type { SettlingParts } from './deployment.ts'
import { Settling, successorOf } from './deployment.ts'
import { Fleet } from './fleet.ts'
import type { FleetView } from './fleet.ts'
import { objectionOf } from './guard.ts'
import { pause } from './pause.ts'
import type { CheckedPublish } from './publish-options.ts'
import type { BookPage, Entry, ReleaseBook } from './release-book.ts'
import { answersOf, settlementOf } from './settlement.ts'

/** A release that is rolled out in steps. */
export interface RolloutParts extends SettlingParts, Pick<CheckedPublish, 'bakeMs' | 'abortOn'> {
  readonly scope: Scope
  readonly book: ReleaseBook
  readonly candidate: Entry<StoredCandidate>
  readonly isNew: boolean
  readonly committedAtMs: number
  readonly author: string
  /** False for who only looks on, while another drives. */
  readonly isDriving: boolean
}

/** What the driver finds when it looks. */
type Finding =
  /** The candidate is at the step where it was put, and nothing speaks against it. */
  | { readonly kind: 'well'; readonly silent: number }
  | { readonly kind: 'abort'; readonly reason: string }
  /** Another drives it. */
  | { readonly kind: 'yield' }
  | { readonly kind: 'promoted' }
  | { readonly kind: 'gone'; readonly settlement: Settlement }

const RETRY_MS = 1_000
const LOOK_MS = 60_000
const GUARD_MS_MIN = 1_000
const GUARD_POLLS = 10

/**
 * Drives a candidate from step to step: the instances of a step settle, the step bakes, and the next one is written; after the last
 * it becomes the head. Each write expects the candidate as this driver left it, so of two drivers one goes on. A driver that ends
 * leaves the candidate at its step.
 */
export class Rollout implements Deployment {
  readonly release: Deployment['release']
  readonly isNew: boolean
  readonly settled: Promise<Settlement>
  readonly #parts: RolloutParts
  readonly #clock: Clock
  readonly #progress: LiveValue<Settlement>
  readonly #fleet: Fleet
  readonly #ending = new AbortController()
  readonly #stopListening: () => void
  #candidate: Entry<StoredCandidate>
  #committedAtMs: number
  #isDriving: boolean
  /** The step of a write whose answer was lost: if the candidate is there, it was ours. */
  #lostStep: number | undefined
  #wake: () => void = () => {}

  constructor(parts: RolloutParts) {
    const { backend, scope, candidate, signal, waiting } = parts
    const { release } = candidate.value
    this.#parts = parts
    this.#clock = backend.clock
    this.release = release
    this.isNew = parts.isNew
    this.#committedAtMs = parts.committedAtMs
    this.#candidate = candidate
    this.#isDriving = parts.isDriving
    this.#progress = new LiveValue(settlementOf(release, { applied: [], refused: [], silent: [] }))
    this.#fleet = new Fleet(backend, scope, { changed: () => this.#wake(), closed: () => this.close() })
    this.#stopListening = onAbort(signal, reason => this.#ending.abort(reason))
    this.settled = this.#run()
    // Who does not wait for it does not hear of it.
    this.settled.catch(() => {})
    waiting.add(this)
  }

  get committedAtMs(): number {
    return this.#committedAtMs
  }

  get progress(): Live<Settlement> {
    return this.#progress
  }

  /** Stops driving: the candidate stays where it is. */
  close(): void {
    this.#ending.abort(new ClosedError('config admin'))
  }

  async #run(): Promise<Settlement> {
    let settlement: Settlement | undefined
    try {
      settlement = await this.#drive()
      return settlement
    } finally {
      this.#leave(settlement)
    }
  }

  async #drive(): Promise<Settlement> {
    await this.#refreshed()
    for (;;) {
      const finding = await this.#bakedStep()
      switch (finding.kind) {
        case 'well':
          await this.#advance()
          break
        case 'abort': {
          const settlement = await this.#withdraw(finding.reason)
          if (settlement !== undefined) return settlement
          break
        }
        case 'promoted':
          return this.#settledAsHead()
        case 'gone':
          return finding.settlement
        case 'yield':
          this.#isDriving = false
          break
        default:
          assertNever(finding)
      }
      await this.#refreshed()
    }
  }

  // Until the step has gone well, or something else is to be done.
  async #bakedStep(): Promise<Finding> {
    if (!this.#isDriving) return this.#lookedOn()
    const { settleMs, abortOn } = this.#parts
    const settled = await this.#until(this.#clock.monotonicMs() + settleMs, silent => silent === 0)
    if (settled.kind !== 'well') return settled
    if (settled.silent < abortOn.silent) return this.#baked()
    const reason = `${settled.silent} of the instances did not answer within ${settleMs} ms`
    return { kind: 'abort', reason }
  }

  async #baked(): Promise<Finding> {
    const { settleMs, bakeMs, abortOn } = this.#parts
    const { guard } = abortOn
    const { step, steps } = this.#candidate.value
    const bakedMs = this.#clock.monotonicMs() + (step === steps.length - 1 ? 0 : bakeMs)
    const everyMs = guard === undefined ? bakeMs : Math.max(GUARD_MS_MIN, bakeMs / GUARD_POLLS)
    for (;;) {
      const askMs = Math.min(bakedMs, this.#clock.monotonicMs() + everyMs)
      const finding = await this.#until(askMs, () => false)
      if (finding.kind !== 'well') return finding
      const question = {
        release: this.release,
        step,
        clock: this.#clock,
        limitMs: settleMs,
        signal: this.#ending.signal,
      }
      const objection = guard && (await objectionOf(guard, question))
      this.#ending.signal.throwIfAborted()
      if (objection !== undefined) return { kind: 'abort', reason: objection }
      if (askMs === bakedMs) return finding
    }
  }

  // A candidate that another drives may stay for long: then so does this.
  async #lookedOn(): Promise<Finding> {
    for (;;) {
      const finding = this.#look()
      if (finding?.kind === 'promoted' || finding?.kind === 'gone') return finding
      await this.#waited(undefined)
    }
  }

  async #until(deadlineMs: number, isDone: (silent: number) => boolean): Promise<Finding> {
    for (;;) {
      const finding = this.#look()
      if (finding !== undefined && (finding.kind !== 'well' || isDone(finding.silent))) return finding
      const leftMs = deadlineMs - this.#clock.monotonicMs()
      if (leftMs <= 0) break
      await this.#waited(leftMs)
    }
    // Once more, so that no answer is overlooked that is in the store.
    await this.#refreshed()
    return this.#look() ?? { kind: 'yield' }
  }

  #look(): Finding | undefined {
    const view = this.#fleet.view
    if (view === undefined) return undefined
    const { candidate } = view.page
    if (candidate === undefined || !isSameRelease(candidate.value.release, this.release)) return this.#ended(view)
    if (candidate.version !== this.#candidate.version) {
      if (this.#isDriving && candidate.value.step !== this.#lostStep) return { kind: 'yield' }
      this.#candidate = candidate
    }
    this.#lostStep = undefined
    const answers = answersOf(this.release, view.reports, report =>
      selects(this.#candidate.value.rule, report, this.release, this.#parts.scope),
    )
    this.#progress.set(settlementOf(this.release, answers))
    if (answers.refused.length < this.#parts.abortOn.refusals) return { kind: 'well', silent: answers.silent.length }
    return { kind: 'abort', reason: refusalReason(answers.refused) }
  }

  #ended({ page }: FleetView): Finding {
    const withdrawal = page.withdrawals?.value.find(({ release }) => isSameRelease(release, this.release))
    if (withdrawal !== undefined) return this.#gone('aborted', withdrawal.reason)
    const successor = successorOf(this.release, page)
    return successor === undefined ? { kind: 'promoted' } : this.#gone('superseded', successor)
  }

  #gone(kind: 'aborted' | 'superseded', reason: string): Finding {
    return { kind: 'gone', settlement: { ...this.#progress.current, kind, reason } }
  }

  async #advance(): Promise<void> {
    const { book } = this.#parts
    const { step, steps } = this.#candidate.value
    if (step === steps.length - 1) {
      const { head } = this.#page()
      const promoted = await this.#written(() => promoteCandidate(book, { head }, this.#candidate))
      if (promoted.kind === 'written') this.#committedAtMs = promoted.committedAtMs
      return
    }
    const moved = await this.#written(() => moveCandidate(book, this.#candidate, step + 1))
    if (moved.kind === 'unknown') this.#lostStep = step + 1
    if (moved.kind !== 'written') return
    this.#candidate = { value: atStep(this.#candidate.value, step + 1), version: moved.version }
    this.#committedAtMs = moved.committedAtMs
  }

  async #withdraw(reason: string): Promise<Settlement | undefined> {
    const { book, author } = this.#parts
    const { withdrawals } = this.#page()
    const withdrawn = await this.#written(() =>
      withdrawCandidate(book, this.#clock, { candidate: this.#candidate, withdrawals, author, reason }),
    )
    return withdrawn.kind === 'written' ? { ...this.#progress.current, kind: 'aborted', reason } : undefined
  }

  #settledAsHead(): Promise<Settlement> {
    const settling = new Settling(
      { ...this.#parts, release: this.release, signal: this.#ending.signal },
      this.#clock.monotonicMs(),
    )
    settling.progress.subscribe(settlement => this.#progress.set(settlement))
    return settling.settled
  }

  // While the store does not answer the candidate stays, and so does the driver.
  async #written(write: () => Promise<CandidateOutcome>): Promise<CandidateOutcome | { readonly kind: 'unknown' }> {
    for (;;) {
      this.#ending.signal.throwIfAborted()
      try {
        return await write()
      } catch (error) {
        // The next look tells what became of it.
        if (error instanceof UnknownOutcomeError) return { kind: 'unknown' }
        if (!(error instanceof UnavailableError)) throw error
      }
      await pause(this.#clock, RETRY_MS, this.#ending.signal)
    }
  }

  async #refreshed(): Promise<void> {
    for (;;) {
      try {
        return await this.#fleet.refresh(this.#ending.signal)
      } catch (error) {
        this.#ending.signal.throwIfAborted()
        if (!(error instanceof UnavailableError)) throw error
      }
      await pause(this.#clock, RETRY_MS, this.#ending.signal)
    }
  }

  // Until something has changed, or the time is over.
  #waited(ms: number | undefined): Promise<void> {
    const { signal } = this.#ending
    return orAborted(
      new Promise<void>(resolve => {
        const timer = this.#clock.setTimer(() => this.#wake(), ms ?? LOOK_MS, { background: false })
        this.#wake = () => {
          timer.cancel()
          resolve()
        }
      }),
      signal,
    )
  }

  #page(): BookPage {
    const view = this.#fleet.view
    if (view !== undefined) return view.page
    throw new InvariantError('A rollout went on before it had read where it stands.')
  }

  #leave(settlement: Settlement | undefined): void {
    if (settlement !== undefined) this.#progress.set(settlement)
    this.#wake()
    this.#progress.close()
    this.#fleet.close()
    this.#stopListening()
    this.#parts.waiting.delete(this)
  }
}

function refusalReason(refused: Settlement['refused']): string {
  const [first] = refused
  if (first === undefined) return 'it was refused'
  const { instance, refusal } = first
  const what = refusal.issues.map(describeIssue).join('; ') || `at ${refusal.stage}`
  const others = refused.length === 1 ? '' : `, and ${refused.length - 1} more`
  return `${instance} refused it (${what})${others}`
}
