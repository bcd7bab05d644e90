import type { ConfigAdmin, InstanceReport, Refusal, Release, ReleaseName, Settlement } from '@holdfast/config-client'
import { describeIssue } from '@holdfast/config-client'

/** `release 42` */
export function releaseLabel(release: ReleaseName | undefined): string {
  return release === undefined ? 'no release' : `release ${release.number}`
}

/** `release 42 (1f3a5c7e) by ann, 2026-01-31 12:00:00: why` */
export function describeRelease(release: Release): string {
  const { hash, author, publishedAtMs, message, kind, rolledBackTo } = release
  const what = kind === 'rollback' ? `, back to ${rolledBackTo}` : ''
  const why = message === '' ? '' : `: ${printable(message)}`
  return `${releaseLabel(release)} (${hash.slice(0, 8)})${what} by ${printable(author)}, ${timeText(publishedAtMs)}${why}`
}

/** In UTC, to the second. */
export function timeText(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')
}

/** Text that somebody else wrote, on one line and without what a terminal would take for a command. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

/** What was refused, where and why. */
export function describeRefusal({ stage, issues }: Refusal): string {
  return printable(`${stage}: ${issues.map(describeIssue).join('; ')}`)
}

/** `2 applied, 1 refused, 0 silent` */
export function countsOf({ applied, refused, silent }: Settlement): string {
  return `${applied.length} applied, ${refused.length} refused, ${silent.length} silent`
}

/** The part of a release that is for programs. */
export function nameOf(release: ReleaseName | undefined): ReleaseName | undefined {
  return release === undefined ? undefined : { number: release.number, hash: release.hash }
}

/** How an instance stands to what is published. */
export type Standing = 'applied' | 'candidate' | 'refused' | 'behind'

type State = Awaited<ReturnType<ConfigAdmin['state']>>

export function standingOf({ applied, refusal }: InstanceReport, { head, candidate }: State): Standing {
  if (refusal !== undefined) return 'refused'
  if (isSame(applied, candidate?.release)) return 'candidate'
  return isSame(applied, head?.release) ? 'applied' : 'behind'
}

function isSame(a: ReleaseName | undefined, b: ReleaseName | undefined): boolean {
  return a?.number === b?.number && a?.hash === b?.hash
}
