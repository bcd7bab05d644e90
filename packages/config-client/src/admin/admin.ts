import type { Live } from '@holdfast/core'
import type { InstanceReport, Refusal } from '../client/report.ts'
import type { Edit } from '../namespace/edit.ts'
import type { ReleaseChange } from '../release/diff.ts'
import type { Candidate, Release, ReleaseContent, RolloutRule } from '../release/release.ts'

/** How a release is to be published. */
export interface PublishOptions {
  /**
   * The number of the release that the edits were made from, 0 where there is none. When another is the head by now nothing is
   * written, and `ConflictError` (`HF_CONFLICT`) names it. Left out, the edits go on top of whatever is there.
   */
  readonly expectedRevision?: number
  /** Published again with the same id, it is published once. @default a random one */
  readonly requestId?: string
  /** Why; for the history. @default '' */
  readonly message?: string
  /** Who. @default the author of the admin */
  readonly author?: string
  /** In steps, the last of which is all: `'10%'`, `'3'` instances, or labels. @default ['100%'] */
  readonly steps?: readonly (string | Readonly<Record<string, string>>)[]
  /** How long each step but the last must go well before the next, in milliseconds. @default 60000 */
  readonly bakeMs?: number
  /** What rolls back a release in steps. */
  readonly abortOn?: AbortConditions
  /** How long instances may take to answer, in milliseconds, before they count as silent. @default 30000 */
  readonly settleMs?: number
  readonly signal?: AbortSignal
}

/** What makes a rollout turn back. */
export interface AbortConditions {
  /** So many refusals. @default 1 */
  readonly refusals?: number
  /** So many instances that do not answer within `settleMs`. @default none */
  readonly silent?: number
  /** Asked again and again while a step bakes; false, or a reason, or a rejection turns it back. */
  readonly guard?: (context: {
    readonly release: Release
    readonly step: number
    readonly signal: AbortSignal
  }) => Promise<boolean | string>
}

/** How the fleet took a release. */
export interface Settlement {
  /** `settled`: every instance that it was for has applied it. `aborted`: it was taken back. */
  readonly kind: 'settled' | 'refused' | 'silent' | 'superseded' | 'aborted'
  readonly release: Release
  /** Ids of the instances that run on it. */
  readonly applied: readonly string[]
  readonly refused: readonly { readonly instance: string; readonly refusal: Refusal }[]
  /** Ids of the instances that have not answered. */
  readonly silent: readonly string[]
  /** For `aborted`: why. */
  readonly reason: string | undefined
}

/** A release on its way. */
export interface Deployment {
  readonly release: Release
  /** False when the edits changed nothing, or the request was published before: then it is the release that there was. */
  readonly isNew: boolean
  /** The store's clock when the release, or its last step, was written, in milliseconds since 1970. */
  readonly committedAtMs: number
  /** As it goes on. */
  readonly progress: Live<Settlement>
  /** Resolves when all have answered, `settleMs` have passed, or it was taken back. Never rejects for what instances do. */
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
  readonly issues: readonly import('../errors.ts').ConfigIssue[]
  /** Instances alive now, of those that the first step (or all) would reach. */
  readonly affected: readonly string[]
  /** Instances that would not, or may not, take it: they refuse the head as well, or have another schema of what changes. */
  readonly doubtful: readonly { readonly instance: string; readonly reason: string }[]
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
  publish(edits: readonly Edit[], options?: PublishOptions): Promise<Deployment>
  /** What `publish` would do. Writes nothing. */
  plan(edits: readonly Edit[], options?: Pick<PublishOptions, 'expectedRevision' | 'steps'>): Promise<Plan>
  /** A new release with the content of an older one. */
  rollback(
    options: Omit<PublishOptions, 'requestId'> & { readonly to: number; readonly requestId?: string },
  ): Promise<Deployment>
  /** Takes back a release that is being rolled out in steps. Undefined when there is none. */
  abort(reason: string): Promise<Release | undefined>
  /** Makes a release that is being rolled out in steps the head, at once. Undefined when there is none. */
  promote(): Promise<Deployment | undefined>
  /** Goes on with a rollout whose publisher is gone. Undefined when there is none. */
  resume(options?: Pick<PublishOptions, 'bakeMs' | 'abortOn' | 'settleMs' | 'signal'>): Promise<Deployment | undefined>
  state(): Promise<ScopeState>
  /** Newest first. */
  history(options?: { readonly limit?: number }): Promise<readonly Release[]>
  /** A release by its number; a negative one counts back from the head, which is -1. */
  release(number: number): Promise<ReleaseWithContent>
  diff(from: number, to: number): Promise<readonly ReleaseChange[]>
  instances(): Promise<readonly InstanceReport[]>
  close(): Promise<void>
}

export type { RolloutRule }
