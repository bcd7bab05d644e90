import { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseInfo, LeaseParty } from '../ports/leases.ts'
import type { ContenderNames } from './contenders.ts'
import { contendersInOrder } from './contenders.ts'
import { CODE, isCode } from './errors.ts'
import type { HeldNode } from './held-node.ts'
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

const NOBODY: readonly string[] = []
const PARTIES_MAX = 1_000

/** A contender, and the token that it has when it is first. */
interface Contending extends LeaseParty {
  readonly token: FencingToken
}

/** Who holds and who waits, with what they wrote into their nodes; the first 1,000. */
export async function inspectLock(
  { sessions, names, layout }: InspectParts,
  resource: string,
  heldBy: (requestId: string) => HeldNode | undefined,
): Promise<LeaseInfo> {
  const session = sessions.current
  const directory = lockDirectory(layout, resource)
  const children = await session.run(getChildren(directory)).catch(whenMissing(NOBODY))
  const nodes = contendersInOrder(children, names).slice(0, PARTIES_MAX)
  const parties = await Promise.all(nodes.map(node => readParty(session, directory, node, names)))
  const [first, ...waiters] = parties.filter(party => party !== undefined)
  if (first === undefined) return leaseInfo(resource, [], [])
  const remainingMs = heldBy(first.requestId)?.deadline.remainingMs()
  return leaseInfo(
    resource,
    [{ ...first, slot: undefined, heldMs: undefined, remainingMs }],
    waiters.map(({ requestId, mode, meta }) => ({ requestId, mode, meta })),
  )
}

async function readParty(
  session: Session,
  directory: string,
  node: string,
  names: ContenderNames,
): Promise<Contending | undefined> {
  const read = await session.run(getData(`${directory}/${node}`)).catch(whenMissing(undefined))
  if (read === undefined) return undefined
  const { data, stat } = read
  return {
    requestId: names.requestIdOf(node),
    mode: 'exclusive',
    meta: decodeMeta(data.toString('utf8')),
    token: new FencingToken(stat.czxid),
  }
}

function whenMissing<T>(value: T): (error: unknown) => T {
  return error => {
    if (isCode(error, CODE.noNode)) return value
    throw error
  }
}
