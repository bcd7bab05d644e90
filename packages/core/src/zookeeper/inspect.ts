import { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import type { LeaseInfo, LeaseParty } from '../ports/leases.ts'
import type { ContenderNames } from './contenders.ts'
import { contendersInOrder } from './contenders.ts'
import { CODE, isCode } from './errors.ts'
import type { HeldNode } from './held-node.ts'
import type { Listing } from './operations.ts'
import { getChildren, getData } from './operations.ts'
import type { Layout } from './paths.ts'
import { lockDirectory } from './paths.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

/** What inspecting works with. */
export interface InspectParts {
  readonly sessions: Sessions
  readonly names: ContenderNames
  readonly layout: Layout
}

const EMPTY: Listing = Object.freeze({ names: [], pzxid: 0n })
const PARTIES_MAX = 1_000

/**
 * Who holds and who waits, with what they wrote into their nodes; the first 1,000.
 *
 * Only the holder knows its token. For another's lease the parent's pzxid of now stands there: it is at least the holder's token,
 * and greater than all before it and less than all after it, as that is.
 */
export async function inspectLock(
  { sessions, names, layout }: InspectParts,
  resource: string,
  heldBy: (requestId: string) => HeldNode | undefined,
): Promise<LeaseInfo> {
  const session = sessions.current
  const directory = lockDirectory(layout, resource)
  const listing = await session.run(getChildren(directory)).catch(whenMissing(EMPTY))
  const nodes = contendersInOrder(listing.names, names).slice(0, PARTIES_MAX)
  const parties = await Promise.all(nodes.map(node => readParty(session, directory, node, names)))
  const [first, ...waiters] = parties.filter(party => party !== undefined)
  if (first === undefined) return { resource, holder: undefined, waiters }
  const held = heldBy(first.requestId)
  const token = held?.token ?? new FencingToken(listing.pzxid)
  return { resource, holder: { ...first, token, remainingMs: held?.deadline.remainingMs() }, waiters }
}

async function readParty(
  session: Session,
  directory: string,
  node: string,
  names: ContenderNames,
): Promise<LeaseParty | undefined> {
  const read = await session.run(getData(`${directory}/${node}`)).catch(whenMissing(undefined))
  if (read === undefined) return undefined
  return { requestId: names.requestIdOf(node), meta: decodeMeta(read.data.toString('utf8')) }
}

function whenMissing<T>(value: T): (error: unknown) => T {
  return error => {
    if (isCode(error, CODE.noNode)) return value
    throw error
  }
}
