import type { DirectoryMeta } from './directory-meta.ts'
import { decodeMeta, encodeMeta } from './directory-meta.ts'
import type { CreateStep } from './multi.ts'
import type { NodeData, Operation } from './operations.ts'
import { NO_DATA, getData } from './operations.ts'
import { ephemeralsPath, markPath } from './paths.ts'
import type { Session } from './session.ts'

/** The node of a directory, as it was read. */
export interface DirectoryNode {
  readonly meta: DirectoryMeta
  /** ZooKeeper's. */
  readonly version: number
  readonly mtimeMs: number
  readonly recordCount: number
}

// The mark, and the parent of the ephemeral records.
const OWN_NODES = 2

/**
 * What makes a directory. The mark of its last commit is there to be exchanged by the next: the version of a node says less, for a
 * directory that was deleted and made anew, or restored, may come to the same one.
 */
export function directorySteps(path: string, meta: DirectoryMeta, ephemeralsAcl: Uint8Array): readonly CreateStep[] {
  return [
    { kind: 'create', path, data: encodeMeta(meta) },
    { kind: 'create', path: markPath(path, meta.revision.commit), data: NO_DATA },
    { kind: 'create', path: ephemeralsPath(path), data: NO_DATA, acl: ephemeralsAcl },
  ]
}

/**
 * @returns undefined when there is no such directory
 * @throws {RefusedError} `HF_REFUSED` when the node holds something else
 */
export async function readNode(session: Session, path: string): Promise<DirectoryNode | undefined> {
  const node = await present(session, getData(path))
  return node === undefined ? undefined : nodeIn(path, node)
}

/** @throws {RefusedError} `HF_REFUSED` when the node holds something else */
export function nodeIn(path: string, { data, stat }: NodeData): DirectoryNode {
  const { version, mtimeMs, childCount } = stat
  return { meta: decodeMeta(path, data), version, mtimeMs, recordCount: childCount - OWN_NODES }
}

/** Undefined when there is no such node. */
export function present<T>(session: Session, operation: Operation<T>): Promise<T | undefined> {
  // Most records that are asked for together are not there, and an error would be dear.
  return session.run<T | undefined>({ ...operation, isMissingAnswered: true })
}
