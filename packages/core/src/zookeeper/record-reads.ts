import type { DirectoryRead, EphemeralRecord, ReadRequest, StoredRecord } from '../ports/records.ts'
import { isFailure } from './errors.ts'
import type { Stat } from './jute.ts'
import type { KnownDirectories, SeenDirectory, SeenRecord } from './known-directories.ts'
import type { NodeData } from './operations.ts'
import { exists, getChildren, getData } from './operations.ts'
import type { Layout } from './paths.ts'
import { ephemeralOf, ephemeralsPath, recordDirectory, recordIdOf, recordPath } from './paths.ts'
import { nodeIn, present } from './record-directory.ts'
import { valueOf, versionOf } from './record-value.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { Undertaking } from './undertaking.ts'

/** What reading works with. */
export interface ReadParts {
  readonly sessions: Sessions
  readonly layout: Layout
  readonly known: KnownDirectories
}

/** How likely it is that something has changed. */
export interface ReadAhead {
  /** Whether we were told so since the last read. */
  readonly isChanged: boolean
}

/** The directory's node, and what stands above its ephemeral records. */
interface Head {
  readonly node: NodeData
  readonly ephemerals: Stat | undefined
}

const MISSING: DirectoryRead = Object.freeze({ kind: 'missing' })
const UNCHANGED: DirectoryRead = Object.freeze({ kind: 'unchanged' })

/**
 * Reads a directory as a snapshot: the directory's own node before and behind its records. Every commit writes to that node, so
 * when it was the same both times there was none in between.
 */
export async function readDirectory(
  { sessions, layout, known }: ReadParts,
  request: ReadRequest & ReadAhead,
  undertaking: Undertaking,
): Promise<DirectoryRead> {
  const path = recordDirectory(layout, request.directory)
  for (;;) {
    undertaking.checkWanted()
    const session = sessions.current
    const { connections } = session
    try {
      const { read, seen } = await readOnce(session, path, request)
      // What was asked again over another connection was not read in the order in which it was asked.
      if (read === undefined || session.connections !== connections) continue
      if (seen !== undefined) known.put(path, seen)
      return read
    } catch (error) {
      if (!isFailure(error, 'session-lost')) throw error
    }
  }
}

interface Reading {
  /** Undefined when there was a commit in between. */
  readonly read: DirectoryRead | undefined
  readonly seen?: SeenDirectory
}

async function readOnce(session: Session, path: string, request: ReadRequest & ReadAhead): Promise<Reading> {
  const { ids, unless, isChanged, ephemerals: hasEphemerals = false } = request
  const asked = ask(session, path, hasEphemerals)
  // Everything in one go, unless there is a good chance that nothing has changed.
  const early = ids !== undefined && (unless === undefined || isChanged) ? askRecords(session, path, ids) : undefined
  early?.catch(() => undefined)
  const head = await asked
  if (head === undefined) return { read: MISSING }
  const node = nodeIn(path, head.node)
  const { revision } = node.meta
  const stamp = stampOf(`${revision.history}.${revision.number}.${revision.commit}`, hasEphemerals, head)
  if (stamp === unless) return { read: UNCHANGED }
  const [records, ephemerals] = await Promise.all([
    early ?? (ids === undefined ? listRecords(session, path) : askRecords(session, path, ids)),
    hasEphemerals ? readEphemerals(session, ephemeralsPath(path)) : new Map<string, EphemeralRecord>(),
  ])
  if (!isSameNode(head.node.stat, records.behind)) return { read: undefined }
  return {
    read: { kind: 'present', revision, committedAtMs: node.mtimeMs, records: records.found, ephemerals, stamp },
    seen: { node, records: seenIn(records.found, ids) },
  }
}

function seenIn(
  found: ReadonlyMap<string, StoredRecord>,
  ids: readonly string[] = [],
): ReadonlyMap<string, SeenRecord> {
  const seen = new Map<string, SeenRecord>(ids.map(id => [id, 'absent']))
  for (const [id, { version }] of found) seen.set(id, { version })
  return seen
}

async function ask(session: Session, path: string, hasEphemerals: boolean): Promise<Head | undefined> {
  const [node, ephemerals] = await Promise.all([
    present(session, getData(path)),
    hasEphemerals ? present(session, exists(ephemeralsPath(path))) : undefined,
  ])
  return node === undefined ? undefined : { node, ephemerals }
}

// Read before the ephemeral records themselves, so what changes meanwhile makes another stamp.
function stampOf(revision: string, hasEphemerals: boolean, { ephemerals }: Head): string {
  if (!hasEphemerals) return revision
  return `${revision}.${ephemerals === undefined ? '' : `${ephemerals.pzxid}.${ephemerals.mzxid}`}`
}

function isSameNode(before: Stat, behind: Stat | undefined): boolean {
  return before.mzxid === behind?.mzxid && before.czxid === behind.czxid
}

interface RecordsRead {
  readonly found: ReadonlyMap<string, StoredRecord>
  /** The directory's node, read behind them. */
  readonly behind: Stat | undefined
}

async function listRecords(session: Session, path: string): Promise<RecordsRead> {
  const names = (await present(session, getChildren(path))) ?? []
  const ids = names.map(recordIdOf).filter(id => id !== undefined)
  return askRecords(session, path, ids)
}

async function askRecords(session: Session, path: string, ids: readonly string[]): Promise<RecordsRead> {
  const nodes = Promise.all(ids.map(id => present(session, getData(recordPath(path, id)))))
  const [read, behind] = await Promise.all([nodes, present(session, exists(path))])
  const found = new Map<string, StoredRecord>()
  for (const [index, id] of ids.entries()) {
    const node = read[index]
    if (node !== undefined) found.set(id, { id, value: valueOf(node.data), version: versionOf(node.data) })
  }
  return { found, behind }
}

async function readEphemerals(session: Session, path: string): Promise<ReadonlyMap<string, EphemeralRecord>> {
  const names = (await present(session, getChildren(path))) ?? []
  const nodes = await Promise.all(names.map(name => present(session, getData(`${path}/${name}`))))
  const newest = new Map<string, bigint>()
  const found = new Map<string, EphemeralRecord>()
  for (const [index, name] of names.entries()) {
    const node = nodes[index]
    const { id, owner } = ephemeralOf(name)
    // Of two owners the one who came later has it; the other's node is being deleted.
    if (node === undefined || node.stat.czxid < (newest.get(id) ?? 0n)) continue
    newest.set(id, node.stat.czxid)
    found.set(id, { id, owner, value: new Uint8Array(node.data) })
  }
  return found
}
