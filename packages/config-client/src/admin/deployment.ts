import type { Backend, Clock, Live, Timer } from '@holdfast/core'
import { ClosedError, LiveValue, onAbort } from '@holdfast/core'
import type { Release } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import type { Deployment, Settlement } from './admin.ts'
import type { FleetView } from './fleet.ts'
import { Fleet } from './fleet.ts'
import type { BookPage } from './release-book.ts'
import { answersOf, settlementOf } from './settlement.ts'
import type { Waiting } from './waiting.ts'

/** What it takes to see how a fleet takes a release. */
export interface SettlingParts {
  readonly backend: Backend
  readonly scope: Scope
  readonly release: Release
  readonly settleMs: number
  readonly signal: AbortSignal | undefined
  /** Those that are waiting, so that the admin can end them. */
  readonly waiting: Waiting
}

/** A release that was written for all at once. */
export interface DeploymentParts extends SettlingParts {
  readonly isNew: boolean
  readonly committedAtMs: number
}

/** A release that stands as the head. Nothing is watched before somebody looks. */
export class HeadDeployment implements Deployment {
  readonly release: Release
  readonly isNew: boolean
  readonly committedAtMs: number
  readonly #parts: DeploymentParts
  readonly #writtenMs: number
  #settling: Settling | undefined

  constructor(parts: DeploymentParts) {
    const { release, isNew, committedAtMs, backend } = parts
    this.release = release
    this.isNew = isNew
    this.committedAtMs = committedAtMs
    this.#parts = parts
    this.#writtenMs = backend.clock.monotonicMs()
  }

  get progress(): Live<Settlement> {
    return this.#settle().progress
  }

  get settled(): Promise<Settlement> {
    return this.#settle().settled
  }

  #settle(): Settling {
    this.#settling ??= new Settling(this.#parts, this.#writtenMs)
    return this.#settling
  }
}

/** Waits until a fleet has taken the head, or has had its time. */
export class Settling {
  readonly settled: Promise<Settlement>
  readonly progress: LiveValue<Settlement>
  readonly #parts: SettlingParts
  readonly #clock: Clock
  readonly #fleet: Fleet
  readonly #timer: Timer
  #stopListening: () => void = () => {}
  #resolve: (settlement: Settlement) => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #isOver = false

  constructor(parts: SettlingParts, writtenMs: number) {
    const { backend, scope, release, settleMs, signal, waiting } = parts
    this.#parts = parts
    this.#clock = backend.clock
    this.progress = new LiveValue(settlementOf(release, { applied: [], refused: [], silent: [] }))
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Who looks at the progress alone does not hear of it.
    this.settled.catch(() => {})
    const leftMs = Math.max(0, writtenMs + settleMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.setTimer(() => void this.#endOfTime(), leftMs, { background: false })
    this.#fleet = new Fleet(backend, scope, { changed: () => this.#look(), closed: () => this.close() })
    this.#stopListening = onAbort(signal, reason => this.#fail(reason))
    if (this.#isOver) this.#stopListening()
    else waiting.add(this)
  }

  close(): void {
    this.#fail(new ClosedError('config admin'))
  }

  #look(): void {
    const settlement = this.#seen()
    if (settlement === undefined || this.#isOver) return
    this.progress.set(settlement)
    if (settlement.silent.length === 0 || settlement.kind === 'superseded') this.#end(settlement)
  }

  // One more look, so that nobody is called silent whose answer is in the store.
  async #endOfTime(): Promise<void> {
    try {
      await this.#fleet.refresh()
      const settlement = this.#seen()
      if (settlement !== undefined) this.#end(settlement)
    } catch (error) {
      this.#fail(error)
    }
  }

  #seen(): Settlement | undefined {
    const view = this.#fleet.view
    return view && seenOf(this.#parts.release, view)
  }

  #end(settlement: Settlement): void {
    if (this.#isOver) return
    this.#leave()
    this.progress.set(settlement)
    this.progress.close()
    this.#resolve(settlement)
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return
    this.#leave()
    this.progress.close()
    this.#reject(reason)
  }

  #leave(): void {
    this.#isOver = true
    this.#timer.cancel()
    this.#stopListening()
    this.#fleet.close()
    this.#parts.waiting.delete(this)
  }
}

function seenOf(release: Release, { page, reports }: FleetView): Settlement {
  const settlement = settlementOf(
    release,
    answersOf(release, reports, () => true),
  )
  const successor = successorOf(release, page)
  return successor === undefined ? settlement : { ...settlement, kind: 'superseded', reason: successor }
}

/** What stands in the place of a release that was the head; undefined while it is. */
export function successorOf(release: Release, { head }: BookPage): string | undefined {
  if (head === undefined) return 'the store has no release any more'
  const { number, hash, author, message } = head.value.release
  if (number === release.number && hash === release.hash) return undefined
  const by = message === '' ? author : `${author}: ${message}`
  if (number > release.number) return `release ${number} by ${by}`
  return `the store went back to release ${number} by ${by}`
}
