import type { ConfigIssue } from '../errors.ts'
import type { Refusal } from '../client/report.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { SecretKeys } from '../release/encryption.ts'
import type { JsonObject } from '../release/json.ts'
import type { ReleaseContent, ReleaseName } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { invariantIssues } from '../resolve/invariants.ts'
import { resolveNamespace } from '../resolve/resolve.ts'
import type { Snapshot, SnapshotPart } from './snapshot.ts'

/** What values are made with. */
export interface ResolveContext {
  readonly scope: Scope
  readonly namespaces: readonly Namespace<unknown, never>[]
  /** By namespace. */
  readonly overrides: ReadonlyMap<string, JsonObject>
  readonly secretKeys: SecretKeys | undefined
}

/** A release and what it says; both undefined for the schemas' defaults. */
export interface ContentToResolve {
  readonly release: ReleaseName | undefined
  readonly content: ReleaseContent | undefined
}

/** The values of all namespaces, or why there are none. */
export type ResolvedRelease =
  | { readonly kind: 'resolved'; readonly parts: ReadonlyMap<string, SnapshotPart> }
  | { readonly kind: 'refused'; readonly refusal: Omit<Refusal, 'release'> }

/** Parses every namespace, then asks the invariants. A namespace whose values are those of `previous` keeps the very object. */
export function resolveRelease(
  { release, content }: ContentToResolve,
  { scope, namespaces, overrides, secretKeys }: ResolveContext,
  previous: Snapshot | undefined,
): ResolvedRelease {
  const parts = new Map<string, SnapshotPart>()
  const issues: ConfigIssue[] = []
  for (const namespace of namespaces) {
    const override = overrides.get(namespace.name)
    const staticFrom = previous?.partOf(namespace.name)?.resolved
    const resolved = resolveNamespace(namespace, { content, release, override, scope, secretKeys, staticFrom })
    if (resolved.kind === 'resolved') parts.set(namespace.name, { namespace, resolved })
    else issues.push(...resolved.issues)
  }
  if (issues.length > 0) return refused('parse', issues)
  const broken = [...parts.values()].flatMap(({ namespace, resolved }) => {
    const before = previous?.partOf(namespace.name)?.resolved.value
    // What does not change has not to be asked about again.
    return before !== undefined && before === resolved.value ? [] : invariantIssues(namespace, resolved.value, before)
  })
  return broken.length > 0 ? refused('invariant', broken) : { kind: 'resolved', parts }
}

function refused(stage: 'parse' | 'invariant', issues: readonly ConfigIssue[]): ResolvedRelease {
  return { kind: 'refused', refusal: { stage, participant: undefined, issues } }
}
