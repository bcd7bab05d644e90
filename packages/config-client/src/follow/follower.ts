import type { Backend, DirectoryWatch, Random, Timer, WatchLink } from '@holdfast/core'
import { ClosedError, orAborted, watchDirectory } from '@holdfast/core'
import type { Applier, ApplyOutcome } from '../apply/applier.ts'
import { unverified } from '../apply/applier.ts'
import type { Snapshot } from '../apply/snapshot.ts'
import { refusalOf } from '../apply/transaction.ts'
import type { Refusal } from '../client/report.ts'
import type { ReleaseContent, ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import { CANDIDATE, HEAD, placesOf } from '../release/scope.ts'
import { readContent } from './contents.ts'
import type { Suspect } from './quarantine.ts'
import { Quarantine } from './quarantine.ts'
import type { Cursor, Hold } from './regression.ts'
import { Regression } from './regression.ts'
import type { Reader, StoreSays, Target } from './store-says.ts'
import { storeSays } from './store-says.ts'

/** Whom the follower tells, outside of its own steps. */
export interface FollowerListener {
  /** Something that `status` tells may have changed. */
  changed(): void
  applied(next: Snapshot, previous: Snapshot | undefined, target: Target): void
  refused(refusal: Refusal): void
  /** What stands in the store is in use, at this cursor; worth keeping. */
  confirmed(target: Target, content: ReleaseContent): void
}

/** What is followed, and how patiently. */
export interface FollowerOptions {
  readonly backend: Backend
  readonly reader: Reader
  readonly applier: Applier
  readonly reconcileMs: number
  readonly regressionHoldMs: number
  /** Releases are signed: an older state of the store may be a replay, and is held off until somebody says otherwise. */
  readonly isTrusting: boolean
  /** Asked before the first release is applied: why not. */
  readonly vet: (release: ReleaseName) => Promise<Omit<Refusal, 'release'> | undefined>
  readonly random: Random
  readonly listener: FollowerListener
}

const SPLAY_MS_MAX = 500
const RETRY_MS = 200

/** Follows the releases of a scope: looks whenever the store may have changed, applies what it finds, and only then moves its cursor. */
export class Follower {
  readonly #options: FollowerOptions
  readonly #watch: DirectoryWatch
  readonly #closing = new AbortController()
  readonly #quarantine = new Quarantine()
  readonly #regression: Regression
  #says: StoreSays = { kind: 'unread' }
  #retryTimer: Timer | undefined
  #retries = 0
  #error: unknown
  #content: { readonly hash: string; readonly content: ReleaseContent } | undefined
  #isDirty = false
  #isForced = false
  #running: Promise<void> | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
    const { backend, reader, reconcileMs, random } = options
    this.#regression = new Regression({
      clock: backend.clock,
      holdMs: options.regressionHoldMs,
      isTrusting: options.isTrusting,
      ended: () => this.#wake(),
    })
    this.#watch = watchDirectory(backend, placesOf(reader.scope).releases, {
      ids: [HEAD, CANDIDATE],
      reconcileMs,
      random,
    })
    this.#watch.view.subscribe(() => this.#wake())
    this.#watch.link.subscribe(() => options.listener.changed())
  }

  get watch(): DirectoryWatch {
    return this.#watch
  }

  get link(): WatchLink {
    return this.#watch.link.current
  }

  get says(): StoreSays {
    return this.#says
  }

  get cursor(): Cursor | undefined {
    return this.#regression.cursor
  }

  get hold(): Hold {
    return this.#regression.hold
  }

  get refusal(): Refusal | undefined {
    return this.#quarantine.refusal
  }

  /** By the monotonic clock. */
  get retryAtMs(): number | undefined {
    return this.#quarantine.retryAtMs
  }

  /** Why the last step did not get further. */
  get error(): unknown {
    return this.#error
  }

  /** Goes on from here: what a last-known-good file says. Only while nothing was applied. */
  startFrom(cursor: Cursor | undefined): void {
    this.#regression.moveTo(cursor)
    this.#wake()
  }

  /** Resolves when what the store says now was applied or refused. Rejects when the store did not say. */
  async refresh(signal?: AbortSignal): Promise<void> {
    await this.#watch.refresh(signal)
    this.#wake()
    await orAborted(this.#idle(), signal)
  }

  async force(): Promise<void> {
    this.#isForced = true
    this.#quarantine.clear()
    try {
      await this.refresh()
    } finally {
      this.#isForced = false
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('configuration'))
    this.#watch.close()
    this.#regression.close()
    this.#retryTimer?.cancel()
    await this.#idle()
  }

  #wake(): void {
    this.#isDirty = true
    // Not at once: who hears of a step and asks for another must find this one under way.
    if (!this.#closing.signal.aborted) this.#running ??= Promise.resolve().then(() => this.#run())
  }

  async #idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isDirty && !this.#closing.signal.aborted) {
      this.#isDirty = false
      try {
        await this.#step()
      } catch (error) {
        // Nobody expected it; what it kept from being applied must not stay so until the next publish.
        this.#error = error
        this.#retrySoon()
      }
      if (!this.#closing.signal.aborted) this.#options.listener.changed()
    }
    this.#running = undefined
  }

  async #step(): Promise<void> {
    this.#retryTimer?.cancel()
    const says = this.#read()
    if (!isSameRelease(releaseIn(this.#says), releaseIn(says))) this.#error = undefined
    this.#says = says
    switch (says.kind) {
      case 'target':
        await this.#pursue(says.target)
        this.#error ??= says.candidateError
        return
      case 'unreadable':
        return this.#refuseUnreadable(says)
      default:
        this.#error = undefined
        this.#quarantine.clear()
    }
  }

  #read(): StoreSays {
    return storeSays(this.#watch.view.current, this.#options.reader, this.#content?.content)
  }

  async #pursue(target: Target): Promise<void> {
    this.#quarantine.keepOnly(target)
    if (this.#isForced) this.#regression.overrule()
    if (!this.#isForced && this.#regression.holdsOff(target)) return
    if (this.#isInUse(target)) return this.#confirm(target)
    if (this.#quarantine.holds(target, this.#nowMs())) return this.#retryLater()
    // It is known by now, and takes a while.
    this.#options.listener.changed()
    const content = await this.#contentOf(target)
    if (content === undefined) return
    const { applier, vet } = this.#options
    const objection = applier.snapshot === undefined ? await vet(target.release) : undefined
    if (objection !== undefined) return this.#refuse(target, objection, false)
    const outcome = await applier.apply(
      { release: target.release, content, source: 'store' },
      { signal: this.#closing.signal, isSuperseded: () => this.#isDirty && !this.#isMeantStill(target) },
    )
    this.#take(outcome, target, content)
  }

  #take(outcome: ApplyOutcome, target: Target, content: ReleaseContent): void {
    switch (outcome.kind) {
      case 'applied':
        this.#quarantine.clear()
        this.#content = { hash: target.release.hash, content }
        this.#moveTo(target)
        this.#options.listener.confirmed(target, content)
        return this.#options.listener.applied(outcome.next, outcome.previous, target)
      case 'refused':
        return this.#refuse(target, outcome.refusal, isWorthRetrying(outcome.refusal))
      case 'interrupted':
        this.#error = outcome.cause
        return this.#retrySoon()
      case 'superseded':
    }
  }

  #isMeantStill(target: Target): boolean {
    return isSameRelease(releaseIn(this.#read()), target.release)
  }

  #isInUse(target: Target): boolean {
    const { committed: snapshot } = this.#options.applier
    return snapshot?.source === 'store' && isSameRelease(snapshot.release, target.release)
  }

  #confirm(target: Target): void {
    const isNewHistory = this.#regression.cursor?.revision.history !== target.revision.history
    this.#quarantine.clear()
    this.#moveTo(target)
    if (isNewHistory && this.#content !== undefined) this.#options.listener.confirmed(target, this.#content.content)
  }

  #moveTo({ release, revision, headNumber }: Target): void {
    const { number, hash } = release
    this.#regression.moveTo({ release: { number, hash }, revision, headNumber })
    this.#retries = 0
    this.#error = undefined
    this.#isForced = false
  }

  async #contentOf(target: Target): Promise<ReleaseContent | undefined> {
    const { release } = target
    if (target.content !== undefined) return target.content
    if (this.#content?.hash === release.hash) return this.#content.content
    const { signal } = this.#closing
    const { backend, applier, reader, random } = this.#options
    // A fleet that reads a large content at once stands in its own way; at a start it is awaited.
    if (applier.snapshot !== undefined) await pause(backend, { ms: random.next() * SPLAY_MS_MAX, signal })
    const read = await readContent(backend.records, { directory: placesOf(reader.scope).contents, release, signal })
    if (read.kind === 'read') return read.content
    this.#error = read.error
    if (read.kind === 'corrupt') this.#refuse(target, unverified(read.error), true)
    else this.#retrySoon()
    return undefined
  }

  #refuseUnreadable({ error, release, version }: Extract<StoreSays, { readonly kind: 'unreadable' }>): void {
    this.#error = error
    if (release === undefined) return this.#quarantine.clear()
    this.#quarantine.keepOnly({ release, version })
    if (!this.#quarantine.holds({ release, version }, this.#nowMs())) {
      this.#refuse({ release, version }, unverified(error), false)
    }
  }

  #refuse({ release, version }: Suspect, why: Omit<Refusal, 'release'>, isRetried: boolean): void {
    const refusal = refusalOf(release, why)
    this.#quarantine.add({ release, version }, refusal, { nowMs: this.#nowMs(), isRetried })
    this.#retryLater()
    this.#options.listener.refused(refusal)
  }

  #retryLater(): void {
    const { retryAtMs } = this.#quarantine
    if (retryAtMs !== undefined) this.#retryIn(retryAtMs - this.#nowMs())
  }

  #retrySoon(): void {
    const { reconcileMs, random } = this.#options
    const waitMs = Math.min(reconcileMs, RETRY_MS * 2 ** Math.min(this.#retries, 10))
    this.#retries += 1
    this.#retryIn(waitMs * (1 - random.next() / 5))
  }

  #retryIn(ms: number): void {
    this.#retryTimer?.cancel()
    if (!this.#closing.signal.aborted) this.#retryTimer = this.#options.backend.clock.setTimer(() => this.#wake(), ms)
  }

  #nowMs(): number {
    return this.#options.backend.clock.monotonicMs()
  }
}

function releaseIn(says: StoreSays): ReleaseName | undefined {
  return says.kind === 'target' ? says.target.release : undefined
}

// What the values are does not change by waiting; what a participant can do may.
function isWorthRetrying({ stage }: Omit<Refusal, 'release'>): boolean {
  return stage === 'prepare' || stage === 'commit'
}

async function pause(
  { clock }: Backend,
  { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
): Promise<void> {
  let timer: Timer | undefined
  const passed = new Promise<void>(resolve => {
    timer = clock.setTimer(resolve, ms)
  })
  try {
    await orAborted(passed, signal)
  } finally {
    timer?.cancel()
  }
}
