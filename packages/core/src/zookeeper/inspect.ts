import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import { decodeMeta } from '../lease/options.ts'
import type { LeaseInfo, LeaseKind, LeaseParty } from '../ports/leases.ts'
import { contendersInOrder, holdersAmong } from './contenders.ts'
import { CODE, isCode } from './errors.ts'
import type { HeldNode } from './held-node.ts'
import type { Contending } from './naming.ts'
import { getChildren, getData } from './operations.ts'
import type { Locks, Queue } from './queues.ts'
import { poolOf, queueOf } from './queues.ts'
import { readersToken } from './read-write.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

/** What inspecting works with. */
export interface InspectParts extends Locks {
  readonly sessions: Sessions
}

/** Which lock to look at. */
export interface Inspected {
  readonly resource: string
  readonly kind: LeaseKind
}

const NOBODY: readonly string[] = []
const PARTIES_MAX = 1_000

/** Somebody, and the transaction that made his node. */
interface Read extends LeaseParty {
  readonly czxid: bigint
}

interface Parties {
  readonly holders: readonly Read[]
  readonly waiters: readonly Read[]
}

/** Who holds and who waits, with what they wrote into their nodes; the first 1,000. */
export async function inspectLock(
  parts: InspectParts,
  { resource, kind }: Inspected,
  heldBy: (requestId: string) => HeldNode | undefined,
): Promise<LeaseInfo> {
  const session = parts.sessions.current
  const isOfPermits = kind === 'permits'
  const { holders, waiters } = await (isOfPermits ? readPermits : readQueue)(session, parts, { resource, kind })
  const isRead = holders.some(({ mode }) => mode === 'read')
  const ofReaders = isRead ? await readersToken(session, parts, resource).catch(whenMissing(undefined)) : undefined
  return leaseInfo(
    resource,
    holders.map(({ czxid, ...holder }) => ({
      ...holder,
      token: new FencingToken(holder.mode === 'read' ? (ofReaders ?? czxid) : czxid),
      slot: undefined,
      heldMs: undefined,
      remainingMs: heldBy(holder.requestId)?.deadline.remainingMs(),
    })),
    waiters.map(({ requestId, mode, meta }) => ({ requestId, mode, meta })),
  )
}

async function readQueue(session: Session, locks: Locks, { resource, kind }: Inspected): Promise<Parties> {
  const queue = queueOf(locks, resource, kind)
  const inOrder = await contendersOf(session, queue)
  const holding = new Set(holdersAmong(inOrder))
  const alone = kind === 'exclusive' ? 'exclusive' : 'write'
  const read = async (them: readonly Contending[]): Promise<readonly Read[]> =>
    readAll(session, queue, them, ({ side }) => (side === 'shared' ? 'read' : alone))
  const [holders, waiters] = await Promise.all([
    read(inOrder.filter(one => holding.has(one))),
    read(inOrder.filter(one => !holding.has(one))),
  ])
  return { holders, waiters }
}

async function readPermits(session: Session, locks: Locks, { resource, kind }: Inspected): Promise<Parties> {
  const [pool, queue] = [poolOf(locks, resource), queueOf(locks, resource, kind)]
  const [permits, queued] = await Promise.all([contendersOf(session, pool), contendersOf(session, queue)])
  const [holders, waiters] = await Promise.all([
    readAll(session, pool, permits, () => 'permit'),
    readAll(session, queue, queued, () => 'permit'),
  ])
  return { holders: holders.toSorted((a, b) => (a.czxid < b.czxid ? -1 : 1)), waiters }
}

async function contendersOf(session: Session, { directory, names }: Queue): Promise<readonly Contending[]> {
  const children = await session.run(getChildren(directory)).catch(whenMissing(NOBODY))
  return contendersInOrder(children, names).slice(0, PARTIES_MAX)
}

async function readAll(
  session: Session,
  { directory }: Queue,
  them: readonly Contending[],
  modeOf: (one: Contending) => LeaseParty['mode'],
): Promise<readonly Read[]> {
  const all = await Promise.all(
    them.map(async one => {
      const read = await session.run(getData(`${directory}/${one.node}`)).catch(whenMissing(undefined))
      if (read === undefined) return undefined
      const { data, stat } = read
      return {
        requestId: one.requestId,
        mode: modeOf(one),
        meta: decodeMeta(data.toString('utf8')),
        czxid: stat.czxid,
      }
    }),
  )
  return all.filter(one => one !== undefined)
}

function whenMissing<T>(value: T): (error: unknown) => T {
  return error => {
    if (isCode(error, CODE.noNode)) return value
    throw error
  }
}
