import type { LeaseGuarantee } from '@holdfast/core'

/** Where a worker finds the store of its locks and of the data that they protect; the ports may be those of proxies. */
export type Place =
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'redis'
      readonly lockPort: number
      readonly dataPort: number
      readonly prefix: string
      readonly claimMs: number
      readonly commandTimeoutMs: number
    }
  | {
      readonly kind: 'sentinel'
      readonly sentinelPorts: readonly number[]
      /** What they call the master. */
      readonly name: string
      /** By which port the master that they name is reached; undefined: by that which they name. */
      readonly nat: { readonly named: number; readonly reached: number } | undefined
      readonly dataPort: number
      readonly prefix: string
      readonly claimMs: number
      readonly commandTimeoutMs: number
    }
  | {
      readonly kind: 'quorum'
      readonly lockPorts: readonly number[]
      readonly dataPort: number
      readonly prefix: string
      readonly maxTtlMs: number
      readonly commandTimeoutMs: number
    }
  | {
      readonly kind: 'postgres'
      readonly lockPort: number
      readonly dataPort: number
      readonly schema: string
      readonly claimMs: number
      readonly commandTimeoutMs: number
    }
  | {
      readonly kind: 'zookeeper'
      readonly lockPorts: readonly number[]
      readonly dataPorts: readonly number[]
      readonly root: string
      readonly sessionTimeoutMs: number
    }

/**
 * Which lock a worker uses. The naive ones are for controls: they do what is often written by hand.
 *
 * - `naive-expiring`: it ends by itself in the store, and its holder believes in it until the store says otherwise; its token is
 *   a count.
 * - `naive-forever`: nothing ends it but its holder.
 * - `naive-session` (PostgreSQL): it ends with its connection. (ZooKeeper): its holder believes in it while pings are answered.
 */
export type LockKind = 'holdfast' | 'naive-expiring' | 'naive-forever' | 'naive-session'

/** What a holder believes of one hold, by `monotonicMs`. */
export interface HoldReport {
  readonly token: bigint
  readonly ttlMs: number
  readonly guarantee: LeaseGuarantee
  readonly acquiredAtMs: number
  /** As far as it is known by now: its release, its loss, or its deadline. */
  readonly validUntilMs: number
  /** When the signal told of the loss. */
  readonly lostAtMs: number | undefined
  /** For how long the event loop had not turned when it did, beyond what it rests between two looks: the machine was busy. */
  readonly stalledMs: number
  /** When the last proof of it was sent that the store acknowledged. */
  readonly provenAtMs: number
}

/** What became of a write to the protected data. */
export type WriteOutcome =
  | {
      readonly kind: 'accepted'
      /** Grows with every write that the data took. */
      readonly order: number
    }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown'; readonly message: string }

export interface StallReport {
  /** How often `assertHeld()` passed, `remainingMs()` was above 0 or `token` could be read after the deadline. */
  readonly passes: number
  /** How often the signal had not fired after the deadline: what a check by it alone would have let pass. */
  readonly signalPasses: number
  readonly checks: number
}

export interface StormReport {
  readonly granted: number
  readonly aborted: number
  readonly failed: readonly string[]
  /** Listeners that are left on the signals of the acquires. */
  readonly listeners: number
}

/** A hold, and when it was asked for: it was granted some time between that and `acquiredAtMs`. */
export interface ChurnedHold extends HoldReport {
  readonly askedAtMs: number
}

export interface ChurnReport {
  readonly holds: readonly ChurnedHold[]
  readonly failed: readonly string[]
}

export interface FinishReport {
  readonly closedAtMs: number
  readonly closeMs: number
  /** What holds the process after `close()`, but for the channel to the parent. */
  readonly resources: readonly string[]
  readonly listeners: number
}

/** How a worker's life comes to its end in `close-leaves-nothing`. */
export type Ending = 'idle' | 'released' | 'aborted' | 'lost' | 'waiting' | 'server-down' | 'held' | 'raw-client'

/** What a worker can be told to do: what goes with it, and what it answers. */
export interface Orders {
  /** `isReady`: returns when the server has answered, so that what is timed later is not the connecting. */
  readonly open: { with: { client: string; place: Place; lock: LockKind; isReady: boolean }; answer: undefined }
  readonly acquire: {
    with: {
      client: string
      lease: string
      resource: string
      ttlMs: number | undefined
      waitMs: number
      isGuarded: boolean
      /** Gives it back by itself after so long. */
      holdMs: number | undefined
    }
    answer: HoldReport | undefined
  }
  readonly report: { with: { lease: string }; answer: HoldReport }
  /** Writes with the token that was noted when the lease was granted, as code does that never asks again. */
  readonly write: { with: { lease: string; isGuarded: boolean }; answer: WriteOutcome }
  /**
   * Changes a row of the protected data and stays inside of the transaction for so long; PostgreSQL only. Unguarded, it is a plain
   * transaction.
   */
  readonly sell: { with: { lease: string; isGuarded: boolean; stayMs: number }; answer: WriteOutcome }
  readonly release: { with: { lease: string }; answer: HoldReport }
  readonly stall: { with: { lease: string; stallMs: number }; answer: StallReport }
  readonly churn: {
    with: { client: string; resource: string; ttlMs: number | undefined; grants: number }
    answer: ChurnReport
  }
  readonly storm: {
    with: {
      client: string
      resource: string
      ttlMs: number | undefined
      acquires: number
      delayMsMax: number
      /** False: the acquire is not told, its caller only stops waiting. */
      isTold: boolean
    }
    answer: StormReport
  }
  readonly leftovers: { with: { resource: string }; answer: readonly string[] }
  /** Does what the ending says, closes, and leaves: after its answer the process must end by itself. */
  readonly finish: {
    with: { client: string; resource: string; ttlMs: number | undefined; ending: Ending }
    answer: FinishReport
  }
  /** Closes everything, so that another run can use the worker. */
  readonly reset: { with: undefined; answer: undefined }
}

export type OrderName = keyof Orders

export interface OrderMessage {
  readonly id: number
  readonly name: OrderName
  readonly with: unknown
}

/** What a worker sends. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answered'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string; readonly message: string }
  | { readonly kind: 'lost'; readonly lease: string; readonly report: HoldReport }
  | { readonly kind: 'progress'; readonly grants: number }
  /** A transaction has changed its row, and is open. */
  | { readonly kind: 'entered'; readonly lease: string }
  /** Something was thrown that nobody caught. */
  | { readonly kind: 'mishap'; readonly message: string }
