import { successionOf } from '@holdfast/core'
import type { WatchLink } from '@holdfast/core'
import type { ConfigState } from '../client/config.ts'
import type { Refusal } from '../client/report.ts'
import { describeIssue, messageOf } from '../errors.ts'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Cursor, Hold } from './regression.ts'
import type { StoreSays } from './store-says.ts'

/** What a state is told from. */
export interface FollowFacts {
  readonly link: WatchLink
  readonly says: StoreSays
  readonly hold: Hold
  readonly cursor: Cursor | undefined
  readonly refusal: Refusal | undefined
  readonly retryAtMs: number | undefined
  /** The release that the store gave and that is in use. */
  readonly inUse: ReleaseName | undefined
  readonly error: unknown
  readonly nowMs: number
}

/** Pure. */
export function stateOf({ link, says, hold, refusal, inUse }: FollowFacts): ConfigState {
  if (link.kind !== 'answering') return 'unreachable'
  switch (says.kind) {
    case 'unread':
      return 'unreachable'
    case 'no-directory':
    case 'no-head':
      return 'store-missing'
    case 'unreadable':
      return 'refused'
    case 'target':
      if (hold.kind === 'held') return 'regressed'
      if (inUse !== undefined && isSameRelease(inUse, says.target.release)) return 'current'
      return refusal === undefined ? 'behind' : 'refused'
  }
}

/** One sentence, for people, that says why it is the state that it is. Pure. */
export function describeState(facts: FollowFacts): string {
  const state = stateOf(facts)
  switch (state) {
    case 'current':
      return `Release ${facts.inUse?.number} of the store is in use.`
    case 'behind':
      return describeBehind(facts)
    case 'refused':
      return describeRefused(facts)
    case 'regressed':
      return describeRegressed(facts)
    case 'store-missing':
      return describeMissing(facts)
    case 'unreachable':
      return facts.link.kind === 'failing'
        ? `The store does not answer: ${messageOf(facts.link.cause)}`
        : 'The store has not answered yet.'
  }
}

function describeBehind({ says, error }: FollowFacts): string {
  const number = says.kind === 'target' ? says.target.release.number : '?'
  if (error === undefined) return `Release ${number} is being applied.`
  return `Release ${number} is not applied yet, and is tried again soon: ${messageOf(error)}`
}

function describeRefused({ says, refusal, retryAtMs, nowMs }: FollowFacts): string {
  if (says.kind === 'unreadable') return `The head in the store cannot be read: ${messageOf(says.error)}`
  if (refusal === undefined) return 'The newest release was refused.'
  const { release, stage, participant, issues } = refusal
  const by = participant === undefined ? '' : ` by "${participant}"`
  const again =
    retryAtMs === undefined
      ? 'It is not tried again before another comes, or force() is called.'
      : `It is tried again in ${seconds(retryAtMs - nowMs)}.`
  return `Release ${release.number} was refused${by} (${stage}): ${issues.map(describeIssue).join('; ')}. ${again}`
}

function describeRegressed({ hold, cursor, nowMs }: FollowFacts): string {
  if (hold.kind !== 'held' || cursor === undefined) return 'The store went back.'
  const { target, untilMs } = hold
  const how = {
    first: '',
    forward: 'an older release was written as the head',
    regressed: `its state ${cursor.revision.number} became ${target.revision.number}, as after a failover or from a backup`,
    replaced: 'it was made anew, and has another history',
  }[successionOf(cursor.revision, target.revision)]
  const until =
    untilMs === undefined
      ? 'until a release with a higher number comes, or force() is called'
      : `for another ${seconds(untilMs - nowMs)}, unless force() is called`
  return `The store went back from release ${cursor.release.number} to ${target.release.number}: ${how}. What is in use is kept ${until}.`
}

function describeMissing({ says, cursor }: FollowFacts): string {
  const had = cursor === undefined ? '' : `, where it had release ${cursor.release.number}. What is in use is kept`
  if (says.kind === 'no-directory') return `The store has nothing for this application and environment${had}.`
  if (says.kind === 'no-head' && says.hasCandidate) {
    return `The store has no head, and its candidate is not meant for this instance${had}.`
  }
  return `The store has no head, though it has other records of this application and environment${had}.`
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))} s`
}
