import type { InstanceReport } from '../client/report.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { diffContents } from '../release/diff.ts'
import type { Release, ReleaseContent, ReleaseName, RolloutRule } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Scope } from '../release/scope.ts'
import { selects } from '../release/selection.ts'
import { schemaFingerprint } from '../resolve/fingerprint.ts'
import type { Plan } from './admin.ts'
import type { Draft } from './draft.ts'

/** What a plan is made of. */
export interface PlanParts {
  readonly scope: Scope
  readonly head: Release | undefined
  readonly before: ReleaseContent | undefined
  readonly draft: Draft
  readonly number: number
  readonly rule: RolloutRule
  readonly reports: readonly InstanceReport[]
  readonly namespaces: ReadonlyMap<string, Namespace>
}

/** What a draft would change, and for whom. */
export function planOf({ scope, head, before, draft, number, rule, reports, namespaces }: PlanParts): Plan {
  const { content, hash, bytes, issues } = draft
  const changes = diffContents(before, content)
  const isNew = hash !== head?.hash
  const reached = isNew ? reports.filter(report => selects(rule, report, { number, hash }, scope)) : []
  const touched = [...namespaces.values()].filter(({ name, definition }) => {
    const chosen = Object.values(definition.options).map(template => `${template.layer}/${template.name}#`)
    return changes.some(({ namespace }) => namespace === name || chosen.some(option => namespace.startsWith(option)))
  })
  const fingerprints = touched.map(({ name, definition }) => [name, schemaFingerprint(definition.schema)] as const)
  const doubtful = reached.flatMap(report => {
    const reason = doubtOf(report, head, fingerprints)
    return reason === undefined ? [] : [{ instance: report.id, reason }]
  })
  const affected = reached.map(({ id }) => id)
  return { head, content, hash, sizeBytes: bytes.length, changes, issues, affected, doubtful }
}

function doubtOf(
  { refusal, schemas }: InstanceReport,
  head: ReleaseName | undefined,
  fingerprints: readonly (readonly [string, string | undefined])[],
): string | undefined {
  if (refusal !== undefined && head !== undefined && isSameRelease(refusal.release, head)) {
    return `it refuses release ${head.number}, the head, as well`
  }
  const others = fingerprints.filter(
    ([name, mine]) => mine !== undefined && schemas[name] !== undefined && schemas[name] !== mine,
  )
  return others.length === 0 ? undefined : `it has another schema of ${others.map(([name]) => name).join(', ')}`
}
