import type { EventSource, Live, Subscription } from '@holdfast/core'
import type { Namespace } from '../namespace/namespace.ts'
import type { ReleaseName } from '../release/release.ts'
import type { ConfigSource, Refusal } from './report.ts'

/** Which layer a value comes from; each stands above those before it. */
export type OriginLayer = 'default' | 'infrastructure' | 'platform' | 'application' | 'override'

/** Where a value comes from. */
export interface Origin {
  readonly layer: OriginLayer
  /** The option that was chosen, for a template's: `platform/postgres#large`. */
  readonly option: string | undefined
  /** The release that says so, for all but `default` and `override`: the application's, or the layer's. */
  readonly release: ReleaseName | undefined
  readonly source: ConfigSource
}

/** All namespaces at one moment: of one release, frozen. Two snapshots are the same state only if they are the same object. */
export interface ConfigSnapshot {
  /** Undefined when it was made of defaults. */
  readonly release: ReleaseName | undefined
  readonly source: ConfigSource
  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a namespace that the configuration was not opened with */
  get<Value>(namespace: Namespace<Value, never>): Value
}

/**
 * How what is in use relates to what the store says.
 *
 * - `current`: it is what the store says.
 * - `behind`: a newer one is known and being applied.
 * - `refused`: the newest was refused; see `refusal`, which is undefined where the store's record is so broken that it names no release.
 * - `regressed`: the store shows an older state than it had shown, or another in its place (restored from a backup, failed over, made
 *   anew). The snapshot is kept for `regressionHoldMs`, then the store is followed.
 * - `store-missing`: the store has nothing where it had something, or where something is expected. The snapshot is kept.
 * - `unreachable`: the store does not answer.
 */
export type ConfigState = 'current' | 'behind' | 'refused' | 'regressed' | 'store-missing' | 'unreachable'

/** What is in use, where it came from, and how the link to the store is. */
export interface ConfigStatus {
  readonly state: ConfigState
  /** One sentence for people. */
  readonly detail: string
  readonly source: ConfigSource
  readonly release: ReleaseName | undefined
  /** What the store says is meant for this instance; undefined while that is not known. */
  readonly target: ReleaseName | undefined
  /** How long ago the store last confirmed what it says, in whole milliseconds; undefined when it never did. */
  readonly ageMs: number | undefined
  /** Whether the age is above `staleAfterMs`. */
  readonly isStale: boolean
  readonly push: 'starting' | 'live' | 'down'
  /** From the store's commit of the release to the end of its apply, by two clocks: for people. Undefined unless from the store. */
  readonly lagMs: number | undefined
  readonly refusal: Refusal | undefined
  readonly pendingRestart: readonly PendingRestart[]
  readonly lastError: unknown
}

/** A static field whose new value waits for a restart. */
export interface PendingRestart {
  readonly namespace: string
  readonly field: string
}

/** What a participant is told of a release that is to be applied. */
export interface Transaction<Value> {
  readonly next: Value
  /** Undefined when it is the first. */
  readonly previous: Value | undefined
  readonly release: ReleaseName | undefined
  /** Aborts when the participant takes too long, or another failed. */
  readonly signal: AbortSignal
}

/** What a participant has prepared. */
export interface Prepared {
  /** Makes it effective. By now `current` is the new one. */
  commit?(): void | Promise<void>
  /** Takes it back, also after `commit`. Called in the reverse order of `prepare`. */
  rollback?(): void | Promise<void>
}

/** Something that has to change together with the configuration, such as a connection pool. */
export interface Participant<Value> {
  /** For reports. */
  readonly name: string
  /** Gets ready for the new values beside the old ones. A rejection refuses the release. Called only when the namespace changes. */
  prepare(transaction: Transaction<Value>): Prepared | void | Promise<Prepared | void>
}

/** What happens to a configuration. */
export interface ConfigEvents {
  applied: {
    readonly release: ReleaseName | undefined
    readonly previous: ReleaseName | undefined
    readonly source: ConfigSource
  }
  refused: Refusal
  /** The state of `status()` changed. */
  state: { readonly state: ConfigState; readonly previous: ConfigState; readonly detail: string }
  pendingRestart: { readonly fields: readonly PendingRestart[] }
}

/** A service's configuration. Made by `openConfig`. */
export interface Config extends AsyncDisposable {
  readonly events: EventSource<ConfigEvents>
  /** The snapshot in use; inside `run` the one that was in use when it began. */
  readonly current: ConfigSnapshot
  /** `current.get(namespace)`. */
  get<Value>(namespace: Namespace<Value, never>): Value
  /** The namespace as it changes; never pinned by `run`. Its `current` is a plain property. */
  live<Value>(namespace: Namespace<Value, never>): Live<Value>
  live<Value, Projected>(namespace: Namespace<Value, never>, project: (value: Value) => Projected): Live<Projected>
  /**
   * Runs something, such as one request, that sees one snapshot through `current` and `get` however long it takes: the one in use when
   * it begins; inside of another `run` that one's.
   */
  run<Result>(work: () => Result): Result
  /** Where a value comes from; `path` is keys from the namespace's root. */
  origin(namespace: Namespace<unknown, never>, ...path: readonly string[]): Origin
  /** Takes part in each apply from the next one on. */
  participate<Value>(namespace: Namespace<Value, never>, participant: Participant<Value>): Subscription
  status(): ConfigStatus
  /**
   * Asks the store now, and resolves when what it says was applied or refused.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store does not answer; what is in use stays
   */
  refresh(signal?: AbortSignal): Promise<ConfigStatus>
  /**
   * Follows the store at once, where a regression is being held, and tries a refused release again.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store does not answer; nothing was forced
   */
  force(): Promise<ConfigStatus>
  close(): Promise<void>
}
