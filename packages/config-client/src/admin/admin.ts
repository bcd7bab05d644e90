import type { Live } from '@holdfast/core'
import type { InstanceReport, Refusal } from '../client/report.ts'
import type { Edit } from '../namespace/edit.ts'
import type { ReleaseChange } from '../release/diff.ts'
import type { ConfigIssue } from '../errors.ts'
import type { Candidate, Release, ReleaseContent } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'

/** For whom a step of a rollout is: `'10%'` of the instances, `'3'` instances, or those that have all of these labels. */
export type RolloutStep = string | Readonly<Record<string, string>>

/** How a release is to be published. */
export interface PublishOptions {
  /**
   * The number of the release that the edits were made from, 0 where there is none. When another is the head by now nothing is
   * written, and `ConflictError` (`HF_CONFLICT`) names it. Left out, the edits go on top of whatever is there.
   */
  readonly expectedRevision?: number
  /** Published again with the same id, it is published once. 1 to 100 characters. @default a random one */
  readonly requestId?: string
  /** Why; for the history. At most 2,000 characters. @default '' */
  readonly message?: string
  /** Who. @default the author of the admin */
  readonly author?: string
  /**
   * In steps, 1 to 20, the last of which is `'100%'`: a share of the instances (`'10%'`), a number of those alive when it begins
   * (`'3'`), or those with some labels. An instance that one step selects stays selected by those that follow. While steps are
   * under way every other publish is refused with `ConflictError`.
   *
   * @default ['100%']
   */
  readonly steps?: readonly RolloutStep[]
  /** How long each step but the last must go well before the next, in milliseconds, 0 to 86,400,000. @default 60000 */
  readonly bakeMs?: number
  /** What rolls back a release in steps. */
  readonly abortOn?: AbortConditions
  /** How long instances may take to answer, in milliseconds, 100 to 86,400,000, before they count as silent. @default 30000 */
  readonly settleMs?: number
  /** Ends the publish before it is written; after that, the waiting: `settled` rejects with its reason, a rollout stays at its step. */
  readonly signal?: AbortSignal
}

/** What makes a rollout turn back. */
export interface AbortConditions {
  /** So many refusals. @default 1 */
  readonly refusals?: number
  /** So many instances that do not answer within `settleMs`. @default none */
  readonly silent?: number
  /** Asked again and again while a step bakes, and once at its end; false, or a reason, or a rejection turns it back. */
  readonly guard?: (context: {
    readonly release: Release
    readonly step: number
    readonly signal: AbortSignal
  }) => Promise<boolean | string>
}

/** How the fleet took a release. */
export interface Settlement {
  /**
   * - `settled`: every instance alive that it was for has applied it; none were is settled too.
   * - `refused`: some have refused it.
   * - `silent`: some have not answered (yet, in `progress`), and none has refused it.
   * - `superseded`: another release is the head by now, or the store has lost this one.
   * - `aborted`: it was taken back while it was rolled out in steps.
   */
  readonly kind: 'settled' | 'refused' | 'silent' | 'superseded' | 'aborted'
  readonly release: Release
  /** Ids of the instances that run on it, or on a later one. */
  readonly applied: readonly string[]
  readonly refused: readonly { readonly instance: string; readonly refusal: Refusal }[]
  /** Ids of the instances that have not answered. */
  readonly silent: readonly string[]
  /** For `aborted` and `superseded`: why, or by what. */
  readonly reason: string | undefined
}

/** A release on its way. */
export interface Deployment {
  readonly release: Release
  /** False when the edits changed nothing, or the request was published before: then it is the release that there was. */
  readonly isNew: boolean
  /** The store's clock when the release, or its last step, was written, in milliseconds since 1970. */
  readonly committedAtMs: number
  /** As it goes on, until it has settled: of a release in steps, for those whom the steps so far are for. */
  readonly progress: Live<Settlement>
  /**
   * Resolves when all have answered, `settleMs` have passed, or it was taken back. Never rejects for what instances do, but when the
   * waiting ends: with the signal's reason, or with `ClosedError` (`HF_CLOSED`).
   *
   * The instances are watched from the first look at `progress` or `settled` on; a deployment that nobody looks at costs nothing.
   */
  readonly settled: Promise<Settlement>
}

/** What a publish would do. */
export interface Plan {
  readonly head: Release | undefined
  readonly content: ReleaseContent
  readonly hash: string
  readonly sizeBytes: number
  readonly changes: readonly ReleaseChange[]
  /** Values that the schemas known here refuse; a publish would throw `InvalidConfigError` with them. */
  readonly issues: readonly ConfigIssue[]
  /** Instances alive now, of those that the first step (or all) would reach. */
  readonly affected: readonly string[]
  /** Instances that would not, or may not, take it: they refuse the head as well, or have another schema of what changes. */
  readonly doubtful: readonly { readonly instance: string; readonly reason: string }[]
}

/** A release of the history. */
export interface HistoryEntry extends Release {
  /** `withdrawn`: it was rolled out in steps, and taken back. */
  readonly standing: 'head' | 'candidate' | 'past' | 'withdrawn'
  /** For `withdrawn`: why. */
  readonly reason: string | undefined
}

/** What is to be done, for whoever decides whether it may be. */
export interface AuthorizationRequest extends Scope {
  readonly action: 'publish' | 'rollback' | 'promote' | 'abort' | 'resume'
  readonly author: string
  /** The content that is to be published, and how it differs from the head's. For `publish` and `rollback`. */
  readonly plan: Pick<Plan, 'head' | 'content' | 'changes'> | undefined
}

/** A release and what it says. */
export interface ReleaseWithContent {
  readonly release: Release
  readonly content: ReleaseContent
}

/** What stands in the store now. */
export interface ScopeState {
  /** `missing` when nothing was ever published, or the store lost it. */
  readonly kind: 'missing' | 'present'
  readonly head: ReleaseWithContent | undefined
  readonly candidate: Candidate | undefined
  readonly instances: readonly InstanceReport[]
}

/** Publishes the configuration of one scope, and sees how the fleet takes it. */
export interface ConfigAdmin extends AsyncDisposable {
  /**
   * Publishes edits. All of it is checked before anything is written, and it is written as a whole. Edits that change nothing
   * publish nothing.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no edit or no JSON, and for a request id that stands for another release.
   * @throws {InvalidConfigError} `HF_INVALID_CONFIG` for values that the schemas, rules or limits known here do not allow.
   * @throws {ConflictError} `HF_CONFLICT` when another is the head than `expectedRevision`, or a release is rolled out in steps.
   * @throws {ForbiddenError} `HF_FORBIDDEN` when `authorize` says no.
   */
  publish(edits: readonly Edit[], options?: PublishOptions): Promise<Deployment>
  /** What `publish` would do. Writes nothing. Takes what a publish would refuse with `InvalidConfigError`, and says so in `issues`. */
  plan(edits: readonly Edit[], options?: Pick<PublishOptions, 'expectedRevision' | 'steps'>): Promise<Plan>
  /** A new release with the content of an older one, to the letter. `to` may count back from the head: -2 is the one before it. */
  rollback(options: PublishOptions & { readonly to: number }): Promise<Deployment>
  /** Takes back a release that is being rolled out in steps: instances return to the head. Undefined when there is none. */
  abort(reason: string): Promise<Release | undefined>
  /** Makes a release that is being rolled out in steps the head, at once. Undefined when there is none. */
  promote(): Promise<Deployment | undefined>
  /** Goes on with a rollout whose publisher is gone. One that is still there leaves it to this one. Undefined when there is none. */
  resume(options?: Pick<PublishOptions, 'bakeMs' | 'abortOn' | 'settleMs' | 'signal'>): Promise<Deployment | undefined>
  state(): Promise<ScopeState>
  /** Newest first. @param options `limit`: so many at most, 1 to 10,000. */
  history(options?: { readonly limit?: number }): Promise<readonly HistoryEntry[]>
  /**
   * A release by its number; a negative one counts back from the head, which is -1, over those that were the head.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when there is no such release (any more)
   */
  release(number: number): Promise<ReleaseWithContent>
  /** How the content of `to` differs from that of `from`. 0 is the empty content before the first release. */
  diff(from: number, to: number): Promise<readonly ReleaseChange[]>
  /** Those alive, by id. */
  instances(): Promise<readonly InstanceReport[]>
  /** Ends what waits, and stops driving rollouts, which stay at their step. The backend stays open. */
  close(): Promise<void>
}
