import type { Clock } from '../clock.ts'
import { InvalidArgumentError, InvariantError, RefusedError, UnknownOutcomeError } from '../errors.ts'
import type { Commit, CommitOutcome, RecordChange } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import type { Random } from '../random.ts'
import { conflictsOf } from '../records/expectations.ts'
import { randomId } from '../records/revision.ts'
import type { DirectoryMeta } from './directory-meta.ts'
import { encodeMeta, knownCommit, metaAfter, newMeta } from './directory-meta.ts'
import { CODE, OperationError, isFailure } from './errors.ts'
import type { MultiOutcome, Step } from './multi.ts'
import { multi } from './multi.ts'
import type { KnownDirectories, SeenDirectory, SeenRecord } from './known-directories.ts'
import { MODE, NO_DATA, exists, getData, sync } from './operations.ts'
import { makeParents } from './parents.ts'
import { markPath, recordDirectory, recordPath } from './paths.ts'
import type { DirectoryNode } from './record-directory.ts'
import { directorySteps, present, readNode } from './record-directory.ts'
import type { ReadParts } from './record-reads.ts'
import { encodeRecord, versionOf } from './record-value.ts'
import type { SentCommits } from './sent-commits.ts'
import type { Session } from './session.ts'
import type { Undertaking } from './undertaking.ts'

/** What committing works with. */
export interface CommitParts extends ReadParts {
  readonly clock: Clock
  readonly random: Random
  /** Encoded: who may join the directories that are made. */
  readonly ephemeralsAcl: Uint8Array
  readonly sent: SentCommits
  readonly known: KnownDirectories
}

// The server takes 1,048,575 bytes, and cuts the connection for more: a retry would be cut for ever.
const REQUEST_BYTES_MAX = 1_040_000
const ANY_VERSION = -1
const PAUSE_MS = 4
const PAUSE_MS_MAX = 200
// Which step exchanges the mark; and how often somebody else may have done so before it must be that there is none.
const MARK_INDEX = 1
const MARK_ROUNDS = 3

/**
 * Commits: looks at the records, then writes in one transaction on the condition that the directory is still as it was seen: its
 * node has the same version, and the mark of the last commit is still that of the same one. Every commit changes both, so of two
 * that follow the same one at most happens. For the same reason it does no harm to send one twice.
 */
export class Committing {
  readonly #parts: CommitParts
  readonly #commit: Commit
  readonly #undertaking: Undertaking
  readonly #path: string

  constructor(parts: CommitParts, commit: Commit, undertaking: Undertaking) {
    this.#parts = parts
    this.#commit = commit
    this.#undertaking = undertaking
    this.#path = recordDirectory(parts.layout, commit.directory)
  }

  /** Rejects with `OperationError` too; then `undertaking.isSent` tells whether it may have happened. */
  async run(): Promise<CommitOutcome> {
    for (let round = 0; ; round++) {
      this.#undertaking.checkWanted()
      try {
        const outcome = round === 0 ? await this.#attemptUnseen() : await this.#attempt(round)
        if (outcome !== undefined) return outcome
        if (round > 0) await this.#pause(round)
      } catch (error) {
        // Whether it was done is seen by looking.
        if (!isFailure(error, 'cut') && !isFailure(error, 'session-lost')) throw error
      }
    }
  }

  /** By what is known of before. Undefined when that is not enough, or out of date. */
  async #attemptUnseen(): Promise<CommitOutcome | undefined> {
    const { known, sessions } = this.#parts
    const session = sessions.current
    // Without a connection it could not be told whether it was sent.
    if (session.state.kind !== 'connected') return undefined
    const seen = known.get(this.#path, this.#commit.changes)
    // Every other answer is for the store to give.
    if (seen === undefined || this.#outcomeBefore(seen) !== undefined) return undefined
    return this.#send(session, seen, 0)
  }

  /** Undefined when another commit came in between. */
  async #attempt(round: number): Promise<CommitOutcome | undefined> {
    const session = this.#parts.sessions.current
    let seen = await this.#look(session, round > 1)
    let outcome = this.#outcomeBefore(seen)
    if (outcome?.kind === 'conflict' && round === 1) {
      // A server that lags behind must not be the one to say so.
      seen = await this.#look(session, true)
      outcome = this.#outcomeBefore(seen)
    }
    if (outcome === undefined) return this.#send(session, seen, round)
    if (outcome.kind === 'conflict') this.#parts.sent.forget(this.#commit.commitId)
    return outcome
  }

  /** With `isSynced` the server that we are connected to catches up with the leader first. */
  async #look(session: Session, isSynced: boolean): Promise<SeenDirectory> {
    const path = this.#path
    const { changes } = this.#commit
    const [, node, ...records] = await Promise.all([
      isSynced ? session.run(sync(path)) : undefined,
      readNode(session, path),
      ...changes.map(change => lookAt(session, path, change)),
    ])
    return { node, records: new Map(records) }
  }

  /** What is to be answered without writing anything. */
  #outcomeBefore({ node, records }: SeenDirectory): CommitOutcome | undefined {
    const { commitId, changes } = this.#commit
    if (node !== undefined) {
      const known = knownCommit(node.meta, node.mtimeMs, commitId)
      if (known !== undefined) return { kind: 'committed', ...known }
      if (this.#parts.sent.isForgotten(commitId, node.meta.revision)) {
        throw new UnknownOutcomeError(
          `Whether the commit ${commitId} happened is not known any more: too many followed.`,
        )
      }
    }
    const conflicts = conflictsOf(changes, id => {
      const record = records.get(id)
      return typeof record === 'object' ? record.version : undefined
    })
    return conflicts.length === 0 ? undefined : { kind: 'conflict', conflicts }
  }

  async #send(session: Session, seen: SeenDirectory, round: number): Promise<CommitOutcome | undefined> {
    const { random, sent, known } = this.#parts
    const { commitId } = this.#commit
    const before = seen.node?.meta ?? newMeta(randomId(random))
    const after = metaAfter(before, seen.node?.mtimeMs ?? 0, commitId)
    const transaction = multi([...this.#directorySteps(seen.node, after), ...this.#recordSteps(seen)], session.acl)
    checkSize(transaction.request.toBuffer().length)
    const recordCount = this.#countAfter(seen)
    this.#undertaking.checkWanted()
    known.forget(this.#path)
    const sentBefore = sent.of(commitId)
    sent.note(commitId, before.revision)
    this.#undertaking.isSent = true
    const outcome = await session.run(transaction)
    this.#undertaking.isSent = false
    if (outcome.kind === 'failed') {
      // This time it did not happen, however many others do before the next.
      if (sentBefore === undefined) sent.forget(commitId)
      else sent.note(commitId, sentBefore)
      return this.#retry(session, outcome, round)
    }
    // The first node that is written, not made, is the directory's.
    const written = outcome.results.find(result => result.kind === 'set')
    if (written === undefined) throw new InvariantError('A commit did not write to its directory.')
    const { version, mtimeMs } = written.stat
    known.put(this.#path, { node: { meta: after, version, mtimeMs, recordCount }, records: this.#recordsAfter(seen) })
    return { kind: 'committed', revision: after.revision, committedAtMs: mtimeMs }
  }

  /** Nothing was done: whether another round may help. */
  async #retry(
    session: Session,
    { code, index }: MultiOutcome & { kind: 'failed' },
    round: number,
  ): Promise<undefined> {
    if (code === CODE.noNode && index === 0) {
      const problem = await makeParents(session, this.#path, MODE.persistent)
      if (problem !== undefined && round > 1) throw problem
    } else if (code === CODE.noNode && index === MARK_INDEX && round > MARK_ROUNDS) {
      throw new RefusedError(`The node ${this.#path} lacks the mark of its last commit: it was copied in part.`)
    } else if (code !== CODE.badVersion && code !== CODE.nodeExists && code !== CODE.noNode) {
      this.#parts.sent.forget(this.#commit.commitId)
      throw new OperationError({ kind: 'refused', code })
    }
  }

  #directorySteps(node: DirectoryNode | undefined, after: DirectoryMeta): readonly Step[] {
    const data = encodeMeta(after)
    if (node === undefined) {
      const made = directorySteps(this.#path, after, this.#parts.ephemeralsAcl)
      // Of a node that is made in a transaction the server does not tell when; of one that is written it does.
      return [...made, { kind: 'set', path: this.#path, data, version: 0 }]
    }
    return [
      { kind: 'set', path: this.#path, data, version: node.version },
      { kind: 'delete', path: markPath(this.#path, node.meta.revision.commit), version: ANY_VERSION },
      { kind: 'create', path: markPath(this.#path, after.revision.commit), data: NO_DATA },
    ]
  }

  #recordSteps({ records }: SeenDirectory): readonly Step[] {
    const steps: Step[] = []
    for (const change of this.#commit.changes) {
      const path = recordPath(this.#path, change.id)
      const isThere = records.get(change.id) !== 'absent'
      if (change.kind === 'put') {
        const data = encodeRecord(this.#commit.commitId, change.value)
        steps.push(isThere ? { kind: 'set', path, data, version: ANY_VERSION } : { kind: 'create', path, data })
      } else if (change.kind === 'delete' && isThere) {
        steps.push({ kind: 'delete', path, version: ANY_VERSION })
      }
    }
    return steps
  }

  /**
   * @returns how many records there are afterwards
   * @throws {RefusedError} `HF_REFUSED` when those are too many
   */
  #countAfter({ node, records }: SeenDirectory): number {
    const { directoryRecordsMax } = RECORD_LIMITS
    const isThere = ({ id }: RecordChange): boolean => records.get(id) !== 'absent'
    const { changes } = this.#commit
    const added = changes.filter(change => change.kind === 'put' && !isThere(change)).length
    const deleted = changes.filter(change => change.kind === 'delete' && isThere(change)).length
    const count = (node?.recordCount ?? 0) + added - deleted
    if (added === 0 || count <= directoryRecordsMax) return count
    throw new RefusedError(`A directory has at most ${directoryRecordsMax} records; this one would have ${count}.`)
  }

  #recordsAfter({ records }: SeenDirectory): ReadonlyMap<string, SeenRecord> {
    const after = new Map(records)
    for (const { kind, id } of this.#commit.changes) {
      if (kind === 'put') after.set(id, { version: this.#commit.commitId })
      if (kind === 'delete') after.set(id, 'absent')
    }
    return after
  }

  // With jitter, so that those who met do not meet again.
  #pause(round: number): Promise<void> {
    const { clock, random } = this.#parts
    const delayMs = random.next() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(round, 10))
    return new Promise(resolve => clock.setTimer(resolve, delayMs, { background: false }))
  }
}

async function lookAt(
  session: Session,
  path: string,
  { id, expect }: RecordChange,
): Promise<readonly [string, SeenRecord]> {
  const node = recordPath(path, id)
  if (expect !== undefined) {
    const record = await present(session, getData(node))
    return [id, record === undefined ? 'absent' : { version: versionOf(record.data) }]
  }
  return [id, (await present(session, exists(node))) === undefined ? 'absent' : 'present']
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes <= REQUEST_BYTES_MAX) return
  throw new InvalidArgumentError(
    'changes',
    `Expected a commit of at most ${REQUEST_BYTES_MAX} bytes with all paths and access lists, got ${sizeBytes}.`,
  )
}
