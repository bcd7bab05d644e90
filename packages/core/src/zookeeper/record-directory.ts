import type { DirectoryMeta } from './directory-meta.ts'
import { decodeMeta, encodeMeta } from './directory-meta.ts'
import { CODE, isCode } from './errors.ts'
import type { Stat } from './jute.ts'
import type { CreateStep } from './multi.ts'
import type { Operation } from './operations.ts'
import { NO_DATA, getData } from './operations.ts'
import { ephemeralsPath, historyPath } from './paths.ts'
import type { Session } from './session.ts'

/** The node of a directory, as it was read. */
export interface DirectoryNode {
  readonly meta: DirectoryMeta
  readonly stat: Stat
}

/** How many nodes of its own a directory has among its records. */
export const OWN_NODES = 2

/**
 * What makes a directory. The sign of its history is there to be checked: a directory that was deleted and made anew may have the
 * same version as the one before.
 */
export function directorySteps(path: string, meta: DirectoryMeta, ephemeralsAcl: Uint8Array): readonly CreateStep[] {
  return [
    { kind: 'create', path, data: encodeMeta(meta) },
    { kind: 'create', path: historyPath(path, meta.revision.history), data: NO_DATA },
    { kind: 'create', path: ephemeralsPath(path), data: NO_DATA, acl: ephemeralsAcl },
  ]
}

/**
 * @returns undefined when there is no such directory
 * @throws {RefusedError} `HF_REFUSED` when the node holds something else
 */
export async function readNode(session: Session, path: string): Promise<DirectoryNode | undefined> {
  const node = await present(session, getData(path))
  return node === undefined ? undefined : { meta: decodeMeta(path, node.data), stat: node.stat }
}

/** Undefined when there is no such node. */
export async function present<T>(session: Session, operation: Operation<T>): Promise<T | undefined> {
  try {
    return await session.run(operation)
  } catch (error) {
    if (isCode(error, CODE.noNode)) return undefined
    throw error
  }
}
