import { onAbort } from '../abort.ts'
import type { Backend } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { ClosedError, RefusedError } from '../errors.ts'
import type { Live } from '../live.ts'
import { LiveValue } from '../live.ts'
import { checkName } from '../names.ts'
import { TTL_MS, checkDurationMs, checkGivenKeys, checkSignal } from '../options.ts'
import type { BeatOutcome, EphemeralRequest, RecordStore } from '../ports/records.ts'
import { EPHEMERAL_TTL_MS_DEFAULT } from '../ports/records.ts'
import { checkValue } from './changes.ts'

/** What is announced, and for how long without a sign of life. */
export interface AnnounceOptions {
  readonly directory: string
  readonly id: string
  readonly value: Uint8Array
  /** How long it outlives its process, in milliseconds, 100 to 86,400,000. @default what suits the store: 15,000, or its session */
  readonly ttlMs?: number
  /** Leaves when it aborts. */
  readonly signal?: AbortSignal
}

/**
 * - `joining`: the store has not heard of it, or has lost it; it is tried again until it works.
 * - `joined`.
 * - `suspended`: the store does not answer; others may not see it any more.
 * - `replaced`: another has announced itself under the same id. It is over.
 * - `left`: by us, or because the backend was closed. It is over.
 */
export type AnnouncementState =
  | { readonly kind: 'joining' }
  | { readonly kind: 'joined' }
  | { readonly kind: 'suspended'; readonly cause: unknown }
  | { readonly kind: 'replaced' }
  | { readonly kind: 'left' }

/** An ephemeral record that is kept alive. */
export interface Announcement extends AsyncDisposable {
  readonly state: Live<AnnouncementState>
  /** Changes what is announced. The store has it within a beat; of several changes in a row the last one counts. */
  update(value: Uint8Array): void
  /** Takes it back. Idempotent; never throws, for the record ends by its TTL at the latest. */
  leave(): Promise<void>
}

const KNOWN: ReadonlySet<string> = new Set(['directory', 'id', 'value', 'ttlMs', 'signal'])
const RETRY_MS_MAX = 1_000

const announcements = new WeakMap<Backend, Set<Announcer>>()

/**
 * Announces an ephemeral record: joins, beats at a third of the TTL, and joins again when the store lost it, until it is taken
 * back or another takes its place.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function announceRecord(backend: Backend, options: AnnounceOptions): Announcement {
  checkGivenKeys('announceRecord', options, KNOWN)
  checkName('directory', options.directory)
  checkName('id', options.id)
  checkValue(options.id, options.value)
  if (options.ttlMs !== undefined) checkDurationMs('ttlMs', options.ttlMs, TTL_MS)
  checkSignal(options.signal)
  const siblings = siblingsOf(backend)
  const announcer: Announcer = new Announcer(backend, options, () => siblings.delete(announcer))
  siblings.add(announcer)
  return announcer
}

// The backend gives back what is held through it before it goes.
function siblingsOf(backend: Backend): Set<Announcer> {
  const known = announcements.get(backend)
  if (known !== undefined) return known
  const siblings = new Set<Announcer>()
  announcements.set(backend, siblings)
  backend.onClose(async () => void (await Promise.all([...siblings].map(announcer => announcer.leave()))))
  return siblings
}

class Announcer implements Announcement {
  readonly #store: RecordStore
  readonly #clock: Clock
  readonly #ended: () => void
  readonly #state = new LiveValue<AnnouncementState>({ kind: 'joining' })
  #stopListening: () => void = () => {}
  #request: EphemeralRequest
  #ttlMs: number
  #isJoined = false
  #isOver = false
  #isChanged = false
  #work: Promise<void> | undefined
  #timer: Timer | undefined
  #failures = 0
  #leaving: Promise<void> | undefined

  constructor(backend: Backend, { directory, id, value, ttlMs, signal }: AnnounceOptions, ended: () => void) {
    this.#store = backend.records
    this.#clock = backend.clock
    this.#ended = ended
    this.#ttlMs = ttlMs ?? EPHEMERAL_TTL_MS_DEFAULT
    this.#request = { directory, id, owner: this.#store.newId(), value: value.slice(), ttlMs }
    this.#work = this.#beat()
    // After the rest: a signal that has aborted already is heard at once.
    this.#stopListening = onAbort(signal, () => void this.leave())
    if (this.#isOver) this.#stopListening()
  }

  get state(): Live<AnnouncementState> {
    return this.#state
  }

  update(value: Uint8Array): void {
    checkValue(this.#request.id, value)
    if (this.#isOver) return
    this.#request = { ...this.#request, value: value.slice() }
    this.#isChanged = true
    this.#wake()
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave()
  }

  async #leave(): Promise<void> {
    const wasOver = this.#isOver
    this.#end({ kind: 'left' })
    await this.#work
    if (wasOver) return
    // What cannot be told ends with its TTL.
    await this.#store.leave(this.#request).catch(() => undefined)
  }

  #wake(): void {
    if (this.#isOver || this.#work !== undefined) return
    this.#timer?.cancel()
    this.#work = this.#beat()
  }

  async #beat(): Promise<void> {
    const { value } = this.#request
    const isChanged = this.#isChanged
    this.#isChanged = false
    try {
      if (this.#isJoined) this.#heard(await this.#store.beat(this.#request, isChanged ? value : undefined))
      else this.#joined((await this.#store.join(this.#request)).ttlMs)
      this.#failures = 0
    } catch (error) {
      this.#isChanged ||= isChanged
      this.#failures += 1
      if (error instanceof ClosedError) this.#end({ kind: 'left' })
      else this.#set({ kind: 'suspended', cause: error })
      // What is refused may be allowed by and by, and is not asked for ever so often.
      if (error instanceof RefusedError) this.#failures = 10
    }
    this.#work = undefined
    if (this.#isOver) return
    if (this.#isChanged && this.#failures === 0) return this.#wake()
    this.#timer = this.#clock.setTimer(() => this.#wake(), this.#pauseMs())
  }

  #heard(outcome: BeatOutcome): void {
    switch (outcome.kind) {
      case 'kept':
        return this.#joined(outcome.ttlMs)
      case 'gone':
        this.#isJoined = false
        this.#isChanged = true
        return this.#set({ kind: 'joining' })
      case 'replaced':
        return this.#end({ kind: 'replaced' })
    }
  }

  #joined(ttlMs: number): void {
    this.#isJoined = true
    this.#ttlMs = ttlMs
    this.#set({ kind: 'joined' })
  }

  #pauseMs(): number {
    const beatMs = this.#ttlMs / 3
    return this.#failures === 0 ? beatMs : Math.min(beatMs, RETRY_MS_MAX, 50 * 2 ** Math.min(this.#failures, 8))
  }

  #set(state: AnnouncementState): void {
    if (this.#isOver || (state.kind === this.#state.current.kind && state.kind !== 'suspended')) return
    this.#state.set(state)
  }

  #end(state: AnnouncementState): void {
    if (this.#isOver) return
    this.#state.set(state)
    this.#isOver = true
    this.#state.close()
    this.#timer?.cancel()
    this.#stopListening()
    this.#ended()
  }
}
