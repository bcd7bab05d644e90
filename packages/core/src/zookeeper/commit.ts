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
import { MODE, exists, getData, sync } from './operations.ts'
import { makeParents } from './parents.ts'
import { historyPath, recordDirectory, recordPath } from './paths.ts'
import type { DirectoryNode } from './record-directory.ts'
import { OWN_NODES, directorySteps, present, readNode } from './record-directory.ts'
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
}

/** What a commit finds. */
interface Found {
  readonly directory: DirectoryNode | undefined
  /** Those of its changes that there are records of, by id, with their versions where one is expected. */
  readonly records: ReadonlyMap<string, string | undefined>
}

// The server takes 1,048,575 bytes, and cuts the connection for more: a retry would be cut for ever.
const REQUEST_BYTES_MAX = 1_040_000
const PAUSE_MS = 4
const PAUSE_MS_MAX = 200

/**
 * Commits: reads what is expected, then writes in one transaction on the condition that the directory's node still has the version
 * that was read. Every commit writes to that node, so of two that follow the same one at most happens. For the same reason it does
 * no harm to send one twice.
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
    for (let round = 1; ; round++) {
      this.#undertaking.checkWanted()
      try {
        const outcome = await this.#attempt(round)
        if (outcome !== undefined) return outcome
        await this.#pause(round)
      } catch (error) {
        // Whether it was done is seen by looking.
        if (!isFailure(error, 'cut') && !isFailure(error, 'session-lost')) throw error
      }
    }
  }

  /** Undefined when another commit came in between. */
  async #attempt(round: number): Promise<CommitOutcome | undefined> {
    const session = this.#parts.sessions.current
    let found = await this.#find(session, round > 1)
    let outcome = this.#outcomeBefore(found)
    if (outcome?.kind === 'conflict' && round === 1) {
      // A server that lags behind must not be the one to say so.
      found = await this.#find(session, true)
      outcome = this.#outcomeBefore(found)
    }
    if (outcome === undefined) return this.#send(session, found, round)
    if (outcome.kind === 'conflict') this.#parts.sent.forget(this.#commit.commitId)
    return outcome
  }

  /** With `isSynced` the server that we are connected to catches up with the leader first. */
  async #find(session: Session, isSynced: boolean): Promise<Found> {
    const path = this.#path
    const { changes } = this.#commit
    const [, directory, ...records] = await Promise.all([
      isSynced ? session.run(sync(path)) : undefined,
      readNode(session, path),
      ...changes.map(change => findRecord(session, path, change)),
    ])
    return { directory, records: new Map(records.filter(record => record !== undefined)) }
  }

  /** What is to be answered without writing anything. */
  #outcomeBefore({ directory, records }: Found): CommitOutcome | undefined {
    const { commitId, changes } = this.#commit
    if (directory !== undefined) {
      const known = knownCommit(directory.meta, directory.stat.mtimeMs, commitId)
      if (known !== undefined) return { kind: 'committed', ...known }
      if (this.#parts.sent.isForgotten(commitId, directory.meta.revision)) {
        throw new UnknownOutcomeError(
          `Whether the commit ${commitId} happened is not known any more: too many followed.`,
        )
      }
    }
    const conflicts = conflictsOf(changes, id => records.get(id))
    return conflicts.length === 0 ? undefined : { kind: 'conflict', conflicts }
  }

  async #send(session: Session, found: Found, round: number): Promise<CommitOutcome | undefined> {
    const { random, sent } = this.#parts
    const { commitId } = this.#commit
    const before = found.directory?.meta ?? newMeta(randomId(random))
    const after = metaAfter(before, found.directory?.stat.mtimeMs ?? 0, commitId)
    const transaction = multi([...this.#directorySteps(found, after), ...this.#recordSteps(found)], session.acl)
    checkSize(transaction.request.toBuffer().length)
    this.#checkCount(found)
    this.#undertaking.checkWanted()
    sent.note(commitId, before.revision)
    this.#undertaking.isSent = true
    const outcome = await session.run(transaction)
    this.#undertaking.isSent = false
    if (outcome.kind === 'failed') return this.#retry(session, outcome, round)
    // The first node that is written, not made, is the directory's.
    const written = outcome.results.find(result => result.kind === 'set')
    if (written === undefined) throw new InvariantError('A commit did not write to its directory.')
    return { kind: 'committed', revision: after.revision, committedAtMs: written.stat.mtimeMs }
  }

  /** Nothing was done: whether another round may help. */
  async #retry(
    session: Session,
    { code, index }: MultiOutcome & { kind: 'failed' },
    round: number,
  ): Promise<undefined> {
    this.#parts.sent.forget(this.#commit.commitId)
    if (code === CODE.noNode && index === 0) {
      const problem = await makeParents(session, this.#path, MODE.persistent)
      if (problem !== undefined && round > 1) throw problem
    } else if (code !== CODE.badVersion && code !== CODE.nodeExists && code !== CODE.noNode) {
      throw new OperationError({ kind: 'refused', code })
    }
  }

  #directorySteps({ directory }: Found, after: DirectoryMeta): readonly Step[] {
    const data = encodeMeta(after)
    if (directory === undefined) {
      const made = directorySteps(this.#path, after, this.#parts.ephemeralsAcl)
      // Of a node that is made in a transaction the server does not tell when; of one that is written it does.
      return [...made, { kind: 'set', path: this.#path, data, version: 0 }]
    }
    return [
      { kind: 'set', path: this.#path, data, version: directory.stat.version },
      { kind: 'check', path: historyPath(this.#path, after.revision.history), version: -1 },
    ]
  }

  #recordSteps({ records }: Found): readonly Step[] {
    const steps: Step[] = []
    for (const change of this.#commit.changes) {
      const path = recordPath(this.#path, change.id)
      const isThere = records.has(change.id)
      if (change.kind === 'put') {
        const data = encodeRecord(this.#commit.commitId, change.value)
        steps.push(isThere ? { kind: 'set', path, data, version: -1 } : { kind: 'create', path, data })
      } else if (change.kind === 'delete' && isThere) {
        steps.push({ kind: 'delete', path, version: -1 })
      }
    }
    return steps
  }

  #checkCount({ directory, records }: Found): void {
    const { directoryRecordsMax } = RECORD_LIMITS
    const isThere = ({ id }: RecordChange): boolean => records.has(id)
    const { changes } = this.#commit
    const added = changes.filter(change => change.kind === 'put' && !isThere(change)).length
    const deleted = changes.filter(change => change.kind === 'delete' && isThere(change)).length
    const count = Math.max(0, (directory?.stat.childCount ?? 0) - OWN_NODES) + added - deleted
    if (added === 0 || count <= directoryRecordsMax) return
    throw new RefusedError(`A directory has at most ${directoryRecordsMax} records; this one would have ${count}.`)
  }

  // With jitter, so that those who met do not meet again.
  #pause(round: number): Promise<void> {
    const { clock, random } = this.#parts
    const delayMs = random.next() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(round, 10))
    return new Promise(resolve => clock.setTimer(resolve, delayMs, { background: false }))
  }
}

async function findRecord(
  session: Session,
  path: string,
  { id, expect }: RecordChange,
): Promise<readonly [string, string | undefined] | undefined> {
  const node = recordPath(path, id)
  if (expect !== undefined) {
    const record = await present(session, getData(node))
    return record === undefined ? undefined : [id, versionOf(record.data)]
  }
  return (await present(session, exists(node))) === undefined ? undefined : [id, undefined]
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes <= REQUEST_BYTES_MAX) return
  throw new InvalidArgumentError(
    'changes',
    `Expected a commit of at most ${REQUEST_BYTES_MAX} bytes with all paths and access lists, got ${sizeBytes}.`,
  )
}
