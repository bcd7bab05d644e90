import type { LeaseGuarantee } from '@holdfast/core'

/** What is asked for. */
export interface Wish {
  readonly resource: string
  /** Undefined where the store decides. */
  readonly ttlMs: number | undefined
  readonly waitMs: number
  /** Whether the guard is raised to the token before the grant counts. */
  readonly isGuarded: boolean
  readonly signal?: AbortSignal
}

/** Something that is held, in the eyes of its holder. */
export interface Held {
  readonly resource: string
  readonly token: bigint
  readonly ttlMs: number
  readonly guarantee: LeaseGuarantee
  /** 0 when the holder knows that it is over. */
  remainingMs(): number
  /** `monotonicMs` of the sending of the last proof that the store acknowledged. */
  provenAtMs(): number
  /** Throws when it is over. */
  assertHeld(): void
  /** Whether reading the token of it still works. */
  canReadToken(): boolean
  hasSignalled(): boolean
  onLost(listener: () => void): void
  release(): Promise<void>
}

/** One client of a store of locks. */
export interface Contender {
  /** Returns when the server has answered. */
  ready(): Promise<void>
  /** Undefined when others held it for all of `waitMs`. */
  acquire(wish: Wish): Promise<Held | undefined>
  close(): Promise<void>
}
