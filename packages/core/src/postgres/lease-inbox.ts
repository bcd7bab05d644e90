import type { InboxListener, WaitingInbox } from '../lease/waiting.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Random } from '../random.ts'
import { holdStatement } from './closed-inboxes.ts'
import type { WatchedInbox } from './lease-commands.ts'
import type { Notices } from './notices.ts'

/** For how long one who waits trusts that there is no news: of an inbox that hears, and of one that may be deaf. */
const TRUST_MS = 15_000
const DEAF_TRUST_MS_MAX = 1_000
/**
 * For how long the first who waits does so for the inbox at most: who is queued before that cannot be seen to be gone. Its own word
 * may wait in the pool behind many questions; once the server has that, it comes soon or never.
 */
const OPENING_MS_MAX = 2_000
const ECHO_MS_MAX = 250

/** What an inbox sends to itself. */
const ECHO = 'echo'

/** What an inbox is made of. */
export interface LeaseInboxSettings {
  readonly clock: Clock
  readonly random: Random
  readonly notices: Notices
  readonly channel: string
  /** By which key others can see that somebody listens. */
  readonly watchKey: string
  /** How long a lease that is handed over waits for its first renewal: one who is deaf has to look more often. */
  readonly claimMs: number
  /** Has the server say something on a channel. */
  readonly say: (channel: string, payload: string) => Promise<unknown>
}

/**
 * The one channel on which this client hears of leases that are handed to it. Messages are hints that may be lost. A pooler that gives
 * its connections to others between transactions (PgBouncer) loses all of them, without a word: so the inbox is only trusted once
 * it has heard itself. From then on
 * its session holds the lock by which others see that somebody listens.
 */
export class LeaseInbox implements WaitingInbox, WatchedInbox {
  readonly #settings: LeaseInboxSettings
  readonly #listeners = new Map<string, InboxListener>()
  #stop: (() => void) | undefined
  #opening: Promise<void> | undefined
  #settled = (): void => {}
  #openingTimer: Timer | undefined
  #isOpen = false
  #hears = false
  #isWatched = false
  #epoch = 0
  #losses = 0

  constructor(settings: LeaseInboxSettings) {
    this.#settings = settings
  }

  /** Whether it was opened, and nobody need wait for it any more. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get watchKey(): string | undefined {
    return this.#isWatched ? this.#settings.watchKey : undefined
  }

  get losses(): number {
    return this.#losses
  }

  get epoch(): number {
    return this.#epoch
  }

  get trustMs(): number {
    const { claimMs, random } = this.#settings
    const ms = this.#hears ? TRUST_MS : Math.min(DEAF_TRUST_MS_MAX, claimMs / 2)
    return ms * (1 - 0.3 * random.next())
  }

  /** Settles once it is watched, or it takes too long: until it hears, those who wait look more often. */
  open(): Promise<void> {
    const { notices, channel } = this.#settings
    this.#opening ??= new Promise(resolve => {
      this.#settled = () => {
        this.#openingTimer?.cancel()
        this.#isOpen = true
        resolve()
      }
      this.#openWithin(OPENING_MS_MAX)
      this.#stop = notices.listen(channel, {
        told: payload => this.#receive(payload),
        live: () => this.#live(),
        down: () => this.#down(),
      })
    })
    return this.#opening
  }

  add(requestId: string, listener: InboxListener): void {
    this.#listeners.set(requestId, listener)
  }

  remove(requestId: string): void {
    this.#listeners.delete(requestId)
  }

  /** The connection that listens is probed by itself. */
  probe(): void {}

  close(): void {
    this.#listeners.clear()
    this.#stop?.()
    this.#settled()
  }

  #live(): void {
    const { channel, say } = this.#settings
    this.#hears = false
    this.#epoch += 1
    const said = (): void => {
      if (!this.#isOpen && !this.#hears) this.#openWithin(ECHO_MS_MAX)
    }
    say(channel, ECHO).then(said, said)
    this.#tellGap()
  }

  #openWithin(ms: number): void {
    this.#openingTimer?.cancel()
    this.#openingTimer = this.#settings.clock.setTimer(() => this.#settled(), ms, { background: false })
  }

  #down(): void {
    this.#hears = false
    this.#isWatched = false
    this.#losses += 1
    this.#settled()
  }

  // It hears, so the session is its own, and what it locks is given up with it.
  async #hold(): Promise<void> {
    const { notices, watchKey } = this.#settings
    const epoch = this.#epoch
    await notices.ask(holdStatement(watchKey))
    if (epoch !== this.#epoch || !this.#hears) return
    this.#isWatched = true
    this.#settled()
    // Their places are to say so.
    this.#tellGap()
  }

  #tellGap(): void {
    for (const listener of [...this.#listeners.values()]) listener.onGap()
  }

  #receive(payload: string): void {
    if (payload === ECHO) {
      this.#hears = true
      // Where the server refuses, nobody can see whether somebody listens: that costs others the claim time.
      this.#hold().catch(() => this.#settled())
      return
    }
    const [id = '', first = '', nowUs, spanMs, slot] = payload.split(' ')
    const listener = this.#listeners.get(id)
    if (listener === undefined) return
    if (nowUs === undefined) return listener.onFirst(Number(first))
    const handOff = { token: first, nowUs: Number(nowUs), spanMs: Number(spanMs) }
    listener.onHandOff(slot === undefined ? handOff : { ...handOff, slot: Number(slot) })
  }
}
