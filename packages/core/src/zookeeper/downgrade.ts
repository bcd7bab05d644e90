import type { LeaseRequest } from '../ports/leases.ts'
import { Contender } from './contender.ts'
import { HeldNode } from './held-node.ts'
import { replaceNode } from './replace-node.ts'

/**
 * Makes a reader's node out of a writer's, in one transaction, as Curator does from 5.5 on: ephemeral and with the writer's own number,
 * so it stands where the writer stood. Undefined when the writer's node is gone. Idempotent. Rejects with `OperationError`.
 */
export async function downgradeNode(held: HeldNode, to: LeaseRequest): Promise<HeldNode | undefined> {
  const { session, queue, digits, path: from = '' } = held.contender
  const reader = new Contender({ session, queue, requestId: to.requestId, side: 'shared' })
  const path = reader.name(digits)
  held.successor = reader
  const outcome = await replaceNode(session, { from, to: path, data: Buffer.from(to.meta) })
  return outcome === 'replaced' ? new HeldNode(to, reader, held.token, held.deadline) : undefined
}
