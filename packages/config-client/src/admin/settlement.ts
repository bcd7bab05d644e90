import type { InstanceReport } from '../client/report.ts'
import type { Release, ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Settlement } from './admin.ts'

/** How those whom a release is meant for have answered so far. */
export type Answers = Pick<Settlement, 'applied' | 'refused' | 'silent'>

/** Sorts the instances that a release is meant for by what they say of it. */
export function answersOf(
  release: ReleaseName,
  reports: readonly InstanceReport[],
  isMeant: (report: InstanceReport) => boolean,
): Answers {
  const applied: string[] = []
  const refused: Settlement['refused'][number][] = []
  const silent: string[] = []
  for (const report of reports) {
    if (!isMeant(report)) continue
    const { id, refusal } = report
    if (hasApplied(report, release)) applied.push(id)
    else if (refusal !== undefined && isSameRelease(refusal.release, release)) refused.push({ instance: id, refusal })
    else silent.push(id)
  }
  return { applied, refused, silent }
}

/** What the answers come to. */
export function settlementOf(release: Release, answers: Answers): Settlement {
  return { ...answers, kind: kindOf(answers), release, reason: undefined }
}

function kindOf({ refused, silent }: Answers): 'settled' | 'refused' | 'silent' {
  if (refused.length > 0) return 'refused'
  return silent.length > 0 ? 'silent' : 'settled'
}

// Who runs on a later one has gone past it.
function hasApplied({ applied }: InstanceReport, release: ReleaseName): boolean {
  return applied !== undefined && (isSameRelease(applied, release) || applied.number > release.number)
}
