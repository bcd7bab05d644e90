import { monotonicMs } from '../monotonic.ts'
import type { Held } from './contender.ts'

/** What a naive holder believes: that it holds until it is told otherwise, or its TTL is over. */
export class NaiveHeld implements Held {
  readonly resource: string
  readonly token: bigint
  readonly ttlMs: number
  readonly guarantee = 'advisory'
  readonly #giveBack: () => Promise<void>
  readonly #listeners: (() => void)[] = []
  readonly #keepsToTtl: boolean
  #provenAtMs: number
  #isLost = false

  constructor(
    facts: {
      readonly resource: string
      readonly token: bigint
      readonly ttlMs: number
      readonly provenAtMs: number
      /** Whether it believes no longer than its TTL after the last proof. @default false */
      readonly keepsToTtl?: boolean
    },
    giveBack: () => Promise<void>,
  ) {
    this.resource = facts.resource
    this.token = facts.token
    this.ttlMs = facts.ttlMs
    this.#provenAtMs = facts.provenAtMs
    this.#keepsToTtl = facts.keepsToTtl ?? false
    this.#giveBack = giveBack
  }

  get isLost(): boolean {
    return this.#isLost
  }

  remainingMs(): number {
    if (this.#isLost) return 0
    return this.#keepsToTtl ? Math.max(0, this.#provenAtMs + this.ttlMs - monotonicMs()) : Infinity
  }

  provenAtMs(): number {
    return this.#provenAtMs
  }

  assertHeld(): void {
    if (this.#isLost) throw new Error('The lock is lost.')
  }

  canReadToken(): boolean {
    return true
  }

  hasSignalled(): boolean {
    return this.#isLost
  }

  onLost(listener: () => void): void {
    this.#listeners.push(listener)
  }

  release(): Promise<void> {
    return this.#giveBack()
  }

  prove(sentAtMs: number): void {
    this.#provenAtMs = sentAtMs
  }

  lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    for (const listener of this.#listeners) listener()
  }
}
