import type { Grant, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import type { Moment } from './deadline.ts'

/** What a store with a queue answers to one who asks for a lease. */
export type AcquireOutcome =
  | { readonly kind: 'granted'; readonly grant: Grant }
  | { readonly kind: 'held' }
  | {
      readonly kind: 'queued'
      readonly sent: Moment
      readonly serverUs: number
      /** Until the holder's lease ends, if he dies now. */
      readonly remainingMs: number
      /** 0 = first. */
      readonly position: number
      /** Whether the place is a new one: the server did not know of it before. */
      readonly isNew: boolean
      /** Whose time that is, where there is more than one server. */
      readonly from?: string | undefined
    }

/** The steps that one who waits takes. Each may be repeated with the same request and means the same. */
export interface WaitingCommands {
  /** Grows each time the server was connected to anew. */
  readonly epoch: number
  /** Whether a lease that was handed over counts only once it has been renewed. @default false */
  readonly confirmsHandOffs?: boolean
  ttlMsOf(request: LeaseRequest): number
  acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome>
  renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]>
  /**
   * Takes back what a request may have left on the server, in the background, for as long as it could matter there. `asked` is
   * the last question about it, answered or not.
   */
  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void
}

/** A lease handed to a waiter by the one who released it. */
export interface HandOff {
  readonly token: string
  /** Of a permit: which one. */
  readonly slot?: number | undefined
  /** The server's time when it was handed over, in µs. */
  readonly nowUs: number
  readonly spanMs: number
  /** Whose time that is, where there is more than one server. */
  readonly from?: string | undefined
}

/** Who listens for one request. */
export interface InboxListener {
  /** The lease is the request's. */
  onHandOff(handOff: HandOff): void
  /** The request is now first in the queue, behind a holder who has so long left if he dies. */
  onFirst(remainingMs: number): void
  /** Messages may have been missed. */
  onGap(): void
}

/** Where a client hears of leases that are handed to it. Messages are hints that may be lost. */
export interface WaitingInbox {
  /** Grows each time it had to be opened anew. */
  readonly epoch: number
  /** For how long one who hears nothing trusts that there is no news. */
  readonly trustMs: number
  add(requestId: string, listener: InboxListener): void
  remove(requestId: string): void
  /** Makes sure, now and then, that it can hear. */
  probe(): void
}
