import { RefusedError } from '../errors.ts'
import type { Revision } from '../ports/records.ts'
import { COMMITS_REMEMBERED } from '../records/revision.ts'

/** A commit that a directory remembers. */
interface Remembered {
  readonly commit: string
  readonly atMs: number
}

/** What the node of a directory holds. */
export interface DirectoryMeta {
  readonly revision: Revision
  /** The commits before the last one, oldest first. When the last one was made is for the node's own mtime to say. */
  readonly before: readonly Remembered[]
}

/** What a directory knows of a commit. */
export interface KnownCommit {
  readonly revision: Revision
  readonly committedAtMs: number
}

/** A directory without commits. */
export function newMeta(history: string): DirectoryMeta {
  return { revision: { history, number: 0, commit: history }, before: [] }
}

/** After one more commit; `atMs` is when the last one before it was made. */
export function metaAfter({ revision, before }: DirectoryMeta, atMs: number, commit: string): DirectoryMeta {
  const { history, number } = revision
  const all = number === 0 ? [] : [...before, { commit: revision.commit, atMs }]
  return { revision: { history, number: number + 1, commit }, before: all.slice(1 - COMMITS_REMEMBERED) }
}

/** Finds a commit among those that are remembered; `atMs` is when the last one was made. */
export function knownCommit(
  { revision, before }: DirectoryMeta,
  atMs: number,
  commit: string,
): KnownCommit | undefined {
  const { history, number } = revision
  if (number > 0 && revision.commit === commit) return { revision, committedAtMs: atMs }
  const index = before.findIndex(remembered => remembered.commit === commit)
  const found = before[index]
  if (found === undefined) return undefined
  return { revision: { history, number: number - before.length + index, commit }, committedAtMs: found.atMs }
}

/** JSON, for people who look with ZooKeeper's own tools. */
export function encodeMeta({ revision, before }: DirectoryMeta): Uint8Array {
  return Buffer.from(JSON.stringify({ ...revision, before: before.map(({ commit, atMs }) => [commit, atMs]) }))
}

/**
 * @throws {RefusedError} `HF_REFUSED` when `bytes` are not a directory's
 */
export function decodeMeta(path: string, bytes: Uint8Array): DirectoryMeta {
  const { history, number, commit, before } = parse(bytes)
  const isMeta = typeof history === 'string' && typeof commit === 'string' && Number.isSafeInteger(number)
  if (!isMeta || !Array.isArray(before)) {
    throw new RefusedError(`The node ${path} is there, but holds no directory of records: somebody else wrote to it.`)
  }
  const pairs = before as readonly (readonly [string, number])[]
  return {
    revision: { history, number: number as number, commit },
    before: pairs.map(([id, atMs]) => ({ commit: id, atMs })),
  }
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  try {
    return Object(JSON.parse(Buffer.from(bytes).toString('utf8'))) as Record<string, unknown>
  } catch {
    return {}
  }
}
