import type { JsonObject } from './json.ts'

/**
 * What a release says: immutable, and known by the SHA-256 of its canonical JSON (RFC 8785). Secrets in it are encrypted, and the
 * chosen options of templates are part of it, so nothing else has to be read to apply it.
 */
export interface ReleaseContent {
  /** By name; what the application layer says, with the ids of chosen options where a field is a template's. */
  readonly namespaces: Readonly<Record<string, JsonObject>>
  /** The options that the namespaces chose, by `<layer>/<template>#<option>`, as they were when it was published. */
  readonly options: Readonly<Record<string, PinnedOption>>
}

/** An option of a template, as the release of the template's layer had it. */
export interface PinnedOption {
  readonly release: ReleaseName
  readonly value: JsonObject
}

/** Which release: a number counts the publishes of a scope, and the hash says what is in it. Equal only if both are. */
export interface ReleaseName {
  readonly number: number
  readonly hash: string
}

/** How a release came to be. */
export type ReleaseKind = 'publish' | 'rollback'

/** A release without its content. */
export interface Release extends ReleaseName {
  /** The release that it was made from; undefined for the first. */
  readonly parent: ReleaseName | undefined
  readonly kind: ReleaseKind
  /** For a rollback: whose content it has. */
  readonly rolledBackTo: number | undefined
  readonly author: string
  readonly message: string
  readonly requestId: string
  /** By the publisher's clock, in milliseconds since 1970: for people. */
  readonly publishedAtMs: number
  readonly signature: ReleaseSignature | undefined
}

/** Ed25519 over the release without its signature. */
export interface ReleaseSignature {
  readonly keyId: string
  /** base64 */
  readonly value: string
}

/** For which instances a release is meant while it is being rolled out. */
export type RolloutRule =
  /** Those that have all of these labels. */
  | { readonly kind: 'labels'; readonly labels: Readonly<Record<string, string>> }
  /** So many of a hundred, by a hash of the instance's slot: 10 % are among the 50 %, also after a restart. */
  | { readonly kind: 'percent'; readonly percent: number }
  /** Exactly these. */
  | { readonly kind: 'instances'; readonly ids: readonly string[] }
  /** Those that one of these selects: who was in an earlier step stays in the later ones. */
  | { readonly kind: 'any'; readonly of: readonly RolloutRule[] }

/** A release on its way to all instances: those that the rule selects apply it, the others stay at the head. */
export interface Candidate {
  readonly release: Release
  readonly rule: RolloutRule
  /** Which of the steps it is at, from 0. */
  readonly step: number
  readonly steps: readonly RolloutRule[]
}

/** A record `head` or `release-…`: a release, with its content where that is small. */
export interface StoredRelease {
  readonly release: Release
  /** Undefined when it is kept in the scope's contents directory, under the hash. */
  readonly content: ReleaseContent | undefined
}

/** The record `candidate`. */
export interface StoredCandidate extends Candidate {
  readonly content: ReleaseContent | undefined
}
