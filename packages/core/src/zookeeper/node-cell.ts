import type { Backend } from '../backend.ts'
import { RefusedError, UnknownOutcomeError } from '../errors.ts'
import type { Cell, Seen } from '../optimistic/cell.ts'
import type { BackendInternals } from './backend.ts'
import { internalsOf } from './backend.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import { stepsOf } from './fence-operations.ts'
import { MODE, create, getData, setData } from './operations.ts'

/**
 * A node of yours as a cell for `updateIfUnchanged`, by ZooKeeper's own version of it. One that is not there is made, below a parent
 * that is; one that was deleted and made anew begins with version 0 again, so do not delete such nodes.
 *
 * @param path absolute, below the chroot of the backend if that has one
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function zookeeperNode(backend: Backend, path: string): Cell<Uint8Array> {
  const parts = internalsOf(backend)
  const [step] = stepsOf([{ kind: 'check', path, version: 0 }], parts.chroot)
  const whole = step?.path ?? path
  return {
    name: `the node ${path}`,
    read: () => read(parts, whole),
    writeIfUnchanged: (...args) => write(parts, whole, ...args),
  }
}

async function read({ sessions }: BackendInternals, path: string): Promise<Seen<Uint8Array>> {
  const session = sessions.current.isMade ? sessions.current : await sessions.made()
  try {
    const { data, stat } = await session.run(getData(path))
    return { value: data, version: stat.version }
  } catch (error) {
    if (isCode(error, CODE.noNode)) return { value: undefined, version: undefined }
    throw toHoldfastError(error, sessions.server)
  }
}

async function write(
  { sessions }: BackendInternals,
  path: string,
  { version }: Seen<Uint8Array>,
  value: Uint8Array,
): Promise<boolean> {
  const session = sessions.current
  try {
    if (version === undefined) await session.run(create(path, value, MODE.persistent, session.acl))
    else await session.run(setData(path, value, Number(version)))
    return true
  } catch (error) {
    if (isCode(error, CODE.badVersion) || isCode(error, CODE.nodeExists)) return false
    if (isCode(error, CODE.noNode) && version !== undefined) return false
    if (isCode(error, CODE.noNode))
      throw new RefusedError(`ZooKeeper at ${sessions.server} has no parent for the node ${path}.`)
    if (isFailure(error, 'cut') || isFailure(error, 'session-lost')) {
      throw new UnknownOutcomeError(`No answer came to a write of the node ${path}, which may have been made.`, {
        cause: error,
      })
    }
    throw toHoldfastError(error, sessions.server)
  }
}
