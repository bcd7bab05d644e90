import { onAbort, orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { ClosedError, InvalidArgumentError } from '../errors.ts'
import type { Live, Subscription } from '../live.ts'
import { LiveValue } from '../live.ts'
import { checkName, show } from '../names.ts'
import { checkBoolean, checkDurationMs, checkKeys, checkSignal } from '../options.ts'
import type {
  DirectoryRead,
  EphemeralRecord,
  ReadRequest,
  RecordStore,
  Revision,
  StoredRecord,
} from '../ports/records.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import type { Succession } from './revision.ts'
import { successionOf } from './revision.ts'

/** What to watch, and how often to make sure. */
export interface WatchOptions {
  /** Only these records. @default all */
  readonly ids?: readonly string[]
  /** Also the ephemeral records. @default false */
  readonly ephemerals?: boolean
  /**
   * With every notice lost a change is seen within so long, in milliseconds, 50 to 3,600,000: the store is asked for its revision
   * that often, and where `ids` are given for the records themselves, so that what was changed by hand is seen too. Jitter makes it
   * up to a fifth sooner, never later.
   *
   * @default 30000
   */
  readonly reconcileMs?: number
  /** Ends the watch when it aborts. */
  readonly signal?: AbortSignal
  /** For the jitter. @default systemRandom */
  readonly random?: Random
}

/** A directory as it was read last. */
export type DirectoryView =
  /** It has not been read yet. */
  | { readonly kind: 'unread' }
  /** There is no such directory. `last` is what was seen before, if anything was: then the store has lost it. */
  | { readonly kind: 'missing'; readonly last: Revision | undefined }
  | {
      readonly kind: 'present'
      readonly revision: Revision
      /**
       * How it follows `previous`. Within one history a view never goes back but as `regressed`. `altered` is the same revision with
       * other records: somebody has changed them by hand, past every commit.
       */
      readonly succession: Succession | 'altered'
      readonly previous: Revision | undefined
      /** By the store's clock, in milliseconds since 1970. */
      readonly committedAtMs: number
      readonly records: ReadonlyMap<string, StoredRecord>
      readonly ephemerals: ReadonlyMap<string, EphemeralRecord>
    }

/** How a watch is doing. */
export interface WatchStatus {
  /** Whether the store tells of changes just now: `starting` until it first did, `down` when it stopped. */
  readonly push: 'starting' | 'live' | 'down'
  /** When the last read that was answered was sent, by the monotonic clock; undefined before the first. */
  readonly readAtMs: number | undefined
  /** Why the last read failed, or the push is down; undefined while all is well. */
  readonly lastError: unknown
}

/** Whether the store answers, by the last read. */
export type WatchLink =
  | { readonly kind: 'starting' }
  | { readonly kind: 'answering' }
  | { readonly kind: 'failing'; readonly cause: unknown }

/** A view of a directory that converges on its latest state, whatever happens to notices. */
export interface DirectoryWatch extends AsyncDisposable {
  readonly view: Live<DirectoryView>
  readonly status: WatchStatus
  /** Told before the view that the answer brings. */
  readonly link: Live<WatchLink>
  /** Reads now: resolves with the view once a read that began after the call was answered, rejects when that read failed. */
  refresh(signal?: AbortSignal): Promise<DirectoryView>
  /** Leaves nothing; `view` keeps its last value. Idempotent. */
  close(): void
}

/** What options are left out mean. */
export const WATCH_DEFAULTS: Readonly<{ reconcileMs: number }> = Object.freeze({ reconcileMs: 30_000 })

const KNOWN: ReadonlySet<string> = new Set(['ids', 'ephemerals', 'reconcileMs', 'signal', 'random'])
const ANSWERING: WatchLink = Object.freeze({ kind: 'answering' })
const UNREAD: DirectoryView = Object.freeze({ kind: 'unread' })
const RETRY_MS = 100
const JITTER_RATIO = 0.2

/**
 * Watches a directory. Level-triggered: a notice only makes it look, so notices may be lost, doubled, late or out of order. It
 * looks when it begins, on each notice, when the store can tell of changes again, and every `reconcileMs`. One read is under way
 * at a time; what comes up meanwhile leads to one more.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function watchDirectory(backend: Backend, directory: string, options: WatchOptions = {}): DirectoryWatch {
  checkName('directory', directory)
  checkOptions(options)
  return new Watcher(backend, directory, options)
}

interface Asker {
  readonly answer: (view: DirectoryView) => void
  readonly fail: (error: unknown) => void
}

class Watcher implements DirectoryWatch {
  readonly #store: RecordStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #request: ReadRequest
  readonly #reconcileMs: number
  readonly #view = new LiveValue<DirectoryView>(UNREAD)
  readonly #link = new LiveValue<WatchLink>({ kind: 'starting' })
  readonly #subscriptions: Subscription[] = []
  #stopListening: () => void = () => {}
  #push: WatchStatus['push'] = 'starting'
  #readAtMs: number | undefined
  #readError: unknown
  #pushError: unknown
  #stamp: string | undefined
  #last: Revision | undefined
  #askers: Asker[] = []
  #timer: Timer | undefined
  #failures = 0
  #isReading = false
  #isDirty = false
  /** Whether the next read looks at the records themselves, whatever the stamp says. */
  #isChecking = false
  #isClosed = false

  constructor(backend: Backend, directory: string, options: WatchOptions) {
    this.#store = backend.records
    this.#clock = backend.clock
    this.#random = options.random ?? systemRandom
    this.#reconcileMs = options.reconcileMs ?? WATCH_DEFAULTS.reconcileMs
    this.#request = {
      directory,
      ephemerals: options.ephemerals ?? false,
      ...(options.ids === undefined ? {} : { ids: [...options.ids] }),
    }
    this.#stopListening = onAbort(options.signal, () => this.close())
    if (this.#isClosed) return
    this.#subscriptions.push(
      this.#store.listen(directory, {
        changed: commit => this.#onChanged(commit),
        live: () => this.#onPush('live', undefined),
        down: cause => this.#onPush('down', cause),
      }),
      backend.health.subscribe(health => {
        if (health.kind === 'ready' && this.#readError !== undefined) this.#look()
        if (health.kind === 'closed') this.close()
      }),
    )
    this.#look()
  }

  get view(): Live<DirectoryView> {
    return this.#view
  }

  get link(): Live<WatchLink> {
    return this.#link
  }

  get status(): WatchStatus {
    return { push: this.#push, readAtMs: this.#readAtMs, lastError: this.#readError ?? this.#pushError }
  }

  refresh(signal?: AbortSignal): Promise<DirectoryView> {
    if (this.#isClosed) return Promise.reject(new ClosedError('watch'))
    const answered = new Promise<DirectoryView>((answer, fail) => this.#askers.push({ answer, fail }))
    this.#check()
    return orAborted(answered, signal)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopListening()
    this.#timer?.cancel()
    for (const subscription of this.#subscriptions) subscription.close()
    this.#push = 'down'
    for (const asker of this.#askers.splice(0)) asker.fail(new ClosedError('watch'))
    this.#view.close()
    this.#link.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #onChanged(commit: string | undefined): void {
    if (commit !== undefined && commit === this.#last?.commit && this.#request.ephemerals !== true) return
    this.#look()
  }

  #onPush(push: 'live' | 'down', cause: unknown): void {
    if (this.#isClosed) return
    this.#push = push
    this.#pushError = cause
    if (push === 'live') this.#look()
  }

  #check(): void {
    this.#isChecking = this.#request.ids !== undefined
    this.#look()
  }

  #look(): void {
    if (this.#isClosed) return
    this.#isDirty = true
    if (!this.#isReading) void this.#readWhileDirty()
  }

  async #readWhileDirty(): Promise<void> {
    this.#isReading = true
    this.#timer?.cancel()
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false
      await this.#readOnce()
    }
    this.#isReading = false
    if (!this.#isClosed) this.#timer = this.#clock.setTimer(() => this.#check(), this.#pauseMs())
  }

  async #readOnce(): Promise<void> {
    const askers = this.#askers
    this.#askers = []
    const sentMs = this.#clock.monotonicMs()
    const unless = this.#isChecking ? undefined : this.#stamp
    this.#isChecking = false
    try {
      const answer = await this.#store.read(unless === undefined ? this.#request : { ...this.#request, unless })
      if (this.#isClosed) throw new ClosedError('watch')
      this.#failures = 0
      this.#readError = undefined
      this.#readAtMs = sentMs
      this.#link.set(ANSWERING)
      this.#take(answer)
      for (const asker of askers) asker.answer(this.#view.current)
    } catch (error) {
      this.#failures += 1
      this.#readError = error
      this.#link.set({ kind: 'failing', cause: error })
      for (const asker of askers) asker.fail(error)
    }
  }

  #take(answer: DirectoryRead): void {
    switch (answer.kind) {
      case 'unchanged':
        return
      case 'missing':
        this.#stamp = undefined
        if (this.#view.current.kind !== 'missing') this.#view.set({ kind: 'missing', last: this.#last })
        return
      case 'present': {
        const { revision, committedAtMs, records, ephemerals, stamp } = answer
        const isAltered = stamp === this.#stamp && !isSameRecords(this.#view.current, records)
        if (stamp === this.#stamp && !isAltered) return
        const previous = this.#last
        this.#stamp = stamp
        this.#last = revision
        const succession = isAltered ? 'altered' : successionOf(previous, revision)
        this.#view.set({ kind: 'present', revision, succession, previous, committedAtMs, records, ephemerals })
      }
    }
  }

  // A failed read is tried again soon, and ever less often; jitter keeps a fleet from asking in one millisecond.
  #pauseMs(): number {
    const jitter = 1 - JITTER_RATIO * this.#random.next()
    if (this.#failures === 0) return this.#reconcileMs * jitter
    return Math.min(this.#reconcileMs, RETRY_MS * 2 ** Math.min(this.#failures, 10)) * jitter
  }
}

function isSameRecords(view: DirectoryView, records: ReadonlyMap<string, StoredRecord>): boolean {
  if (view.kind !== 'present' || view.records.size !== records.size) return false
  for (const { id, version, value } of records.values()) {
    const known = view.records.get(id)
    if (known?.version !== version || !isSameBytes(known.value, value)) return false
  }
  return true
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false
  return true
}

function checkOptions(options: WatchOptions): void {
  checkKeys('watchDirectory', options, KNOWN)
  const { ids, reconcileMs } = options
  if (ids !== undefined) {
    if (!Array.isArray(ids) || ids.length === 0) {
      throw new InvalidArgumentError('ids', `Expected \`ids\` to be at least one record id, got ${show(ids)}.`)
    }
    for (const id of ids as readonly unknown[]) checkName('ids', id)
  }
  if (reconcileMs !== undefined) checkDurationMs('reconcileMs', reconcileMs, { min: 50, max: 3_600_000 })
  checkBoolean('ephemerals', options.ephemerals)
  checkSignal(options.signal)
}
