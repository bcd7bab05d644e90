import type { OperationError } from './errors.ts'
import { CODE, isCode } from './errors.ts'
import type { Mode } from './operations.ts'
import { MODE, NO_DATA, create } from './operations.ts'
import type { Session } from './session.ts'

/**
 * Makes the nodes above `path`, all in one go. Those that exist are left as they are.
 *
 * Locks live in containers, as Curator's do: the server deletes them some time after their last child went, so nobody has to
 * sweep, and no release pays for a delete that may race with another's create. Whoever then finds no parent makes it anew.
 *
 * @returns what the server refused, if anything: a user who may not write at the top of the tree is refused there even where the
 * node exists, so that alone decides nothing
 */
export async function makeParents(
  session: Session,
  path: string,
  mode: Mode = MODE.container,
): Promise<OperationError | undefined> {
  const steps = path.split('/').slice(1, -1)
  const parents = steps.map((_, index) => `/${steps.slice(0, index + 1).join('/')}`)
  const outcomes = await Promise.allSettled(
    parents.map(parent => session.run(create(parent, NO_DATA, mode, session.acl))),
  )
  // `run` rejects with nothing else.
  const refusals = outcomes.flatMap(outcome =>
    outcome.status === 'rejected' ? [outcome.reason as OperationError] : [],
  )
  return refusals.find(error => !isCode(error, CODE.nodeExists))
}
