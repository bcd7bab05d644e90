import type { InboxListener, WaitingInbox } from '../lease/waiting.ts'
import type { Random } from '../random.ts'
import type { Notices } from './notices.ts'

/** For how long one who waits trusts that there is no news: of an inbox that hears, and of one that may be deaf. */
const TRUST_MS = 15_000
const DEAF_TRUST_MS_MAX = 1_000

/** What an inbox sends to itself. */
const ECHO = 'echo'

/** What an inbox is made of. */
export interface LeaseInboxSettings {
  readonly random: Random
  readonly notices: Notices
  readonly channel: string
  /** How long a lease that is handed over waits for its first renewal: one who is deaf has to look more often. */
  readonly claimMs: number
  /** Has the server say something on a channel. */
  readonly say: (channel: string, payload: string) => Promise<unknown>
}

/**
 * The one channel on which this client hears of leases that are handed to it. Messages are hints that may be lost. A pooler that gives
 * its connections to others between transactions (PgBouncer) loses all of them, without a word: so the inbox is only trusted once
 * it has heard itself.
 */
export class LeaseInbox implements WaitingInbox {
  readonly #settings: LeaseInboxSettings
  readonly #listeners = new Map<string, InboxListener>()
  #stop: (() => void) | undefined
  #hears = false
  #epoch = 0

  constructor(settings: LeaseInboxSettings) {
    this.#settings = settings
  }

  /** Whether it was opened. */
  get isOpen(): boolean {
    return this.#stop !== undefined
  }

  get epoch(): number {
    return this.#epoch
  }

  get trustMs(): number {
    const { claimMs, random } = this.#settings
    const ms = this.#hears ? TRUST_MS : Math.min(DEAF_TRUST_MS_MAX, claimMs / 2)
    return ms * (1 - 0.3 * random.next())
  }

  /** In the background: until it hears, those who wait look more often. */
  open(): void {
    this.#stop ??= this.#settings.notices.listen(this.#settings.channel, {
      told: payload => this.#receive(payload),
      live: () => this.#live(),
      down: () => void (this.#hears = false),
    })
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
  }

  #live(): void {
    const { channel, say } = this.#settings
    this.#hears = false
    this.#epoch += 1
    say(channel, ECHO).catch(() => undefined)
    for (const listener of [...this.#listeners.values()]) listener.onGap()
  }

  #receive(payload: string): void {
    if (payload === ECHO) {
      this.#hears = true
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
