import type { Backend, ReadView, RecordStore } from '@holdfast/core'
import {
  InvalidArgumentError,
  RefusedError,
  UnknownOutcomeError,
  checkKeys,
  checkName,
  checkRecipeName,
  checkSignal,
  recipeDirectory,
  show,
  systemRandom,
  untilView,
} from '@holdfast/core'
import { pause } from './pause.ts'
import type { CallOptions, WaitOptions } from './wait-options.ts'
import { checkCallOptions, checkWaitOptions, waitAtMost } from './wait-options.ts'

/** How a latch is made. */
export interface LatchOptions {
  /** From where it counts down, 1 to 1,000. The same for all who use it. */
  readonly count: number
}

/** One step down. */
export interface CountDownOptions extends CallOptions {
  /**
   * Whose step it is, 1 to 200 bytes: the second of one id counts for nothing, so a job that is run again after a crash counts once.
   *
   * @default a new one for each call
   */
  readonly id?: string
}

/** What a latch is at. */
export interface LatchInfo {
  readonly count: number
  readonly remaining: number
  /** The ids that have counted, in their order. */
  readonly counted: readonly string[]
}

/** Counts down to zero, and then everybody goes on who waits. It keeps its count without anybody being there. */
export interface Latch {
  readonly name: string
  /**
   * One step down; at zero it does nothing. Resolves with what remains. Should it reject, the step may have been made: with the same
   * `id` it can be repeated.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the latch has another `count`
   */
  countDown(options?: CountDownOptions): Promise<number>
  /**
   * Resolves once it is at zero, or has been since the call.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when it was not within `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store never answered within `waitMs`
   */
  wait(options?: WaitOptions): Promise<void>
  inspect(options?: CallOptions): Promise<LatchInfo>
  /** Starts again at `count`, which may be another than before, and forgets who has counted. Who waits goes on waiting. */
  reset(options?: CallOptions): Promise<void>
}

interface LatchState extends LatchInfo {
  /** How often it has come to zero: who waits must not miss one that was reset at once. */
  readonly openings: number
}

interface Stored {
  readonly state: LatchState
  readonly version: string | undefined
}

const COUNT_MAX = 1_000
const STATE = 'state'
const LATCH_NAMES: ReadonlySet<string> = new Set(['count'])
const COUNT_DOWN_NAMES: ReadonlySet<string> = new Set(['id', 'signal'])
const UNKNOWN_MAX = 3
const PAUSE_MS = 2
const PAUSE_MS_MAX = 100
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The latch of a name: one record, which whoever counts exchanges for the next. */
export class NamedLatch implements Latch {
  readonly name: string
  readonly #backend: Backend
  readonly #records: RecordStore
  readonly #count: number
  readonly #directory: string

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
  constructor(backend: Backend, name: string, options: LatchOptions) {
    checkRecipeName('latch', name)
    if (typeof options !== 'object' || options === null) {
      throw new InvalidArgumentError('options', `Expected latch to be given \`{ count }\`, got ${show(options)}.`)
    }
    checkKeys('latch', options, LATCH_NAMES)
    const { count } = options
    if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX) {
      throw new InvalidArgumentError(
        'count',
        `Expected \`count\` to be an integer from 1 to ${COUNT_MAX}, got ${show(count)}.`,
      )
    }
    this.name = name
    this.#backend = backend
    this.#records = backend.records
    this.#count = count
    this.#directory = recipeDirectory('latch', name)
  }

  async countDown(options: CountDownOptions = {}): Promise<number> {
    checkKeys('countDown', options, COUNT_DOWN_NAMES)
    if (options.id !== undefined) checkName('id', options.id)
    checkSignal(options.signal)
    const id = options.id ?? this.#records.newId()
    const after = await this.#change(options.signal, state => {
      this.#checkCount(state)
      if (state.remaining === 0 || state.counted.includes(id)) return undefined
      const remaining = state.remaining - 1
      const openings = state.openings + (remaining === 0 ? 1 : 0)
      return { ...state, remaining, openings, counted: [...state.counted, id] }
    })
    return after.remaining
  }

  async wait(options: WaitOptions = {}): Promise<void> {
    checkWaitOptions('wait', options)
    const watched = { directory: this.#directory, ids: [STATE] }
    let openings: number | undefined
    const isOpen = (view: ReadView): true | undefined => {
      const { state } = this.#stored(view.kind === 'present' ? view.records.get(STATE) : undefined)
      this.#checkCount(state)
      // The store may have lost all of it, and count from zero again.
      openings = Math.min(openings ?? state.openings, state.openings)
      return state.remaining === 0 || state.openings > openings ? true : undefined
    }
    const awaited = { backend: this.#backend, name: this.name, what: `The latch "${this.name}" was still not at zero` }
    await waitAtMost(awaited, options, wait => untilView(this.#backend, watched, wait, isOpen))
  }

  async inspect(options: CallOptions = {}): Promise<LatchInfo> {
    checkCallOptions('inspect', options)
    const { count, remaining, counted } = (await this.#read(options.signal)).state
    return { count, remaining, counted }
  }

  async reset(options: CallOptions = {}): Promise<void> {
    checkCallOptions('reset', options)
    await this.#change(options.signal, ({ openings }) => ({ ...this.#fresh(), openings }))
  }

  /** Reads, changes, and writes if nobody else has in between; else again. Undefined = nothing to change. */
  async #change(
    signal: AbortSignal | undefined,
    change: (state: LatchState) => LatchState | undefined,
  ): Promise<LatchState> {
    let unknown = 0
    for (let round = 1; ; round += 1) {
      const { state, version } = await this.#read(signal)
      const next = change(state)
      if (next === undefined) return state
      try {
        if (await this.#write(next, version, signal)) return next
      } catch (error) {
        unknown += 1
        // Whether it happened shows in what is read next.
        if (!(error instanceof UnknownOutcomeError) || unknown === UNKNOWN_MAX) throw error
      }
      // Who met once is not to meet again.
      await pause(this.#backend.clock, systemRandom.next() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** round), signal)
    }
  }

  async #read(signal: AbortSignal | undefined): Promise<Stored> {
    const read = await this.#records.read({ directory: this.#directory, ids: [STATE] }, signal)
    return this.#stored(read.kind === 'present' ? read.records.get(STATE) : undefined)
  }

  async #write(state: LatchState, version: string | undefined, signal: AbortSignal | undefined): Promise<boolean> {
    const value = encoder.encode(JSON.stringify(state))
    const expect = version === undefined ? 'absent' : { version }
    const outcome = await this.#records.commit(
      {
        directory: this.#directory,
        commitId: this.#records.newId(),
        changes: [{ kind: 'put', id: STATE, value, expect }],
      },
      signal,
    )
    return outcome.kind === 'committed'
  }

  #stored(record: { readonly value: Uint8Array; readonly version: string } | undefined): Stored {
    if (record === undefined) return { state: this.#fresh(), version: undefined }
    try {
      return { state: latchState(JSON.parse(decoder.decode(record.value))), version: record.version }
    } catch (cause) {
      throw new RefusedError(`The record of the latch "${this.name}" was not written by a latch.`, { cause })
    }
  }

  #fresh(): LatchState {
    return { count: this.#count, remaining: this.#count, counted: [], openings: 0 }
  }

  #checkCount({ count }: LatchState): void {
    if (count === this.#count) return
    throw new InvalidArgumentError(
      'count',
      `Expected \`count\` to be ${count}, which the latch "${this.name}" has, got ${this.#count}.`,
    )
  }
}

function latchState(value: unknown): LatchState {
  const { count, remaining, openings, counted } = (value ?? {}) as Partial<Record<keyof LatchState, unknown>>
  const areCounts = [count, remaining, openings].every(each => Number.isInteger(each))
  if (areCounts && Array.isArray(counted)) return value as LatchState
  throw new TypeError('It has not what a latch keeps.')
}
