import type { ConfigIssue } from '../errors.ts'
import type { ReleaseName } from '../release/release.ts'

/** Where the configuration in use came from. */
export type ConfigSource = 'store' | 'last-known-good' | 'defaults'

/** At which point of applying a release it was refused. */
export type RefusalStage = 'verify' | 'parse' | 'invariant' | 'prepare' | 'commit'

/** Why an instance did not apply a release. */
export interface Refusal {
  readonly release: ReleaseName
  readonly stage: RefusalStage
  /** Who refused: a participant's name, else undefined. */
  readonly participant: string | undefined
  readonly issues: readonly ConfigIssue[]
}

/** What an instance says of itself, as an ephemeral record of its scope. */
export interface InstanceReport {
  readonly id: string
  /** What its share of a percentage goes by: stays the same over restarts. */
  readonly slot: string
  readonly labels: Readonly<Record<string, string>>
  /** What it runs on; undefined when that is no release. */
  readonly applied: ReleaseName | undefined
  readonly source: ConfigSource
  /** The last release that it refused, while it is still meant to apply it. */
  readonly refusal: Refusal | undefined
  /** `<namespace>.<field>` of static fields whose new value waits for a restart. */
  readonly pendingRestart: readonly string[]
  /** By namespace: which schema it has, where that can be told. */
  readonly schemas: Readonly<Record<string, string>>
}
