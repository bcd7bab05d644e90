import { CODE, OperationError, isCode, isFailure } from './errors.ts'
import { multi } from './multi.ts'
import { MODE, exists, remove } from './operations.ts'
import type { Session } from './session.ts'

/** One of our nodes, and the one that is to stand in its stead. */
export interface Replacement {
  readonly from: string
  readonly to: string
  readonly data: Uint8Array
}

/** `gone`: `from` does not stand any more. `homeless`: the node above `to` is missing. In both cases nothing was done. */
export type ReplaceOutcome = 'replaced' | 'gone' | 'homeless'

const ROUNDS_MAX = 20

/**
 * Replaces an ephemeral node of this session by another, in one step. Idempotent, as long as the name is used for nothing else.
 * Rejects with `OperationError`; after `timed-out` it may yet be done.
 */
export async function replaceNode(session: Session, { from, to, data }: Replacement): Promise<ReplaceOutcome> {
  const steps = [
    { kind: 'create', path: to, data, mode: MODE.ephemeral },
    { kind: 'delete', path: from, version: -1 },
  ] as const
  for (let round = 1; ; round++) {
    try {
      const outcome = await session.run(multi(steps, session.acl))
      if (outcome.kind === 'done') return 'replaced'
      const { index, code } = outcome
      if (code === CODE.noNode) return index === 0 ? 'homeless' : 'gone'
      const refusal = new OperationError({ kind: 'refused', code })
      if (code !== CODE.nodeExists || round === ROUNDS_MAX) throw refusal
      // By us, and the answer was lost; or in a session before this one.
      if (await isOurs(session, to)) return 'replaced'
      await session.run(remove(to))
    } catch (error) {
      const isWorthAnother = isFailure(error, 'cut') || isCode(error, CODE.noNode)
      if (!isWorthAnother || round === ROUNDS_MAX) throw error
    }
  }
}

async function isOurs(session: Session, path: string): Promise<boolean> {
  const { ephemeralOwner } = await session.run(exists(path))
  return ephemeralOwner === session.id
}
