import type { PoolClient } from 'pg'
import { orAborted } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError, InvariantError, UnknownOutcomeError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import type { Subscription } from '../live.ts'
import { checkName } from '../names.ts'
import { TTL_MS, checkDurationMs } from '../options.ts'
import type {
  BeatOutcome,
  Commit,
  CommitOutcome,
  DirectoryListener,
  DirectoryRead,
  EphemeralRequest,
  ReadRequest,
  RecordChange,
  RecordConflict,
  RecordStore,
  Stay,
} from '../ports/records.ts'
import { EPHEMERAL_TTL_MS_DEFAULT } from '../ports/records.ts'
import type { Random } from '../random.ts'
import { checkCommit, checkValue } from '../records/changes.ts'
import { COMMITS_REMEMBERED, randomId } from '../records/revision.ts'
import type { PostgresConnection } from './connection.ts'
import type { Ends } from './ephemeral-ends.ts'
import { EphemeralEnds } from './ephemeral-ends.ts'
import { isStatementError } from './errors.ts'
import type { Notices } from './notices.ts'
import { channelOf } from './notices.ts'
import type { EndsRequest, ReadRow, Statement } from './read-statement.ts'
import { endsOf, endsStatement, readOf, readStatement } from './read-statement.ts'
import type { Schema } from './schema.ts'

/** What records in PostgreSQL are made of. */
export interface PostgresRecordsParts {
  readonly clock: Clock
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  readonly connection: PostgresConnection
  readonly notices: Notices
  readonly schema: Schema
}

type CommitAnswer =
  | { readonly kind: 'committed'; readonly history: string; readonly number: number; readonly committedAtMs: number }
  | {
      readonly kind: 'conflict'
      readonly conflicts: readonly { readonly id: string; readonly version: string | null }[]
    }
  | { readonly kind: 'forgotten' }

/**
 * Records in tables, one row each. Commits to a directory take turns by its row, so that one of several wins; a read is one
 * statement, and so one snapshot.
 *
 * Notices are by NOTIFY, in the transaction of the commit. Committing such a transaction takes a lock that all of the server's
 * databases share, so commits that tell somebody happen one after the other: beats tell nobody.
 */
export class PostgresRecordStore implements RecordStore {
  readonly #parts: PostgresRecordsParts
  readonly #ends: EphemeralEnds
  readonly #listening = new Map<string, Set<Subscription>>()

  constructor(parts: PostgresRecordsParts) {
    this.#parts = parts
    this.#ends = new EphemeralEnds({
      clock: parts.clock,
      read: (directory, sinceMs) => this.#readEnds({ directory, sinceMs }),
      tell: directory => parts.notices.hint(this.#channel(directory), 'e'),
    })
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#parts.connection.guarantee
  }

  newId(): string {
    return randomId(this.#parts.random)
  }

  async read(request: ReadRequest, signal?: AbortSignal): Promise<DirectoryRead> {
    checkName('directory', request.directory)
    for (const id of request.ids ?? []) checkName('id', id)
    this.#checkStart(signal)
    const statement = readStatement(this.#parts.schema.quoted, request)
    const rows = await orAborted(
      this.#parts.connection.within(client => rowsOf(client, statement)),
      signal,
    )
    return readOf(rows, request.unless)
  }

  async commit(commit: Commit, signal?: AbortSignal): Promise<CommitOutcome> {
    checkCommit(commit)
    this.#checkStart(signal)
    const { directory, commitId, changes } = commit
    const answer = await orAborted(
      this.#committed(commitId, {
        text: `SELECT ${this.#parts.schema.quoted}.commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        values: [
          directory,
          this.newId(),
          text(commitId),
          changes.map(({ kind }) => kind),
          changes.map(({ id }) => id),
          changes.map(change => (change.kind === 'put' ? bytes(change.value) : null)),
          changes.map(expected),
          this.#channel(directory),
        ],
      }),
      signal,
    )
    switch (answer.kind) {
      case 'committed': {
        const { history, number, committedAtMs } = answer
        return { kind: 'committed', revision: { history, number, commit: text(commitId) }, committedAtMs }
      }
      case 'conflict':
        return { kind: 'conflict', conflicts: conflictsOf(changes, answer.conflicts) }
      case 'forgotten':
        throw new UnknownOutcomeError(
          `The commit ${commitId} happened, and ${COMMITS_REMEMBERED} or more came after it: its answer is not known any more.`,
        )
    }
  }

  async join(request: EphemeralRequest, signal?: AbortSignal): Promise<Stay> {
    const ttlMs = checkedTtlMs(request)
    checkValue(request.id, request.value)
    this.#checkStart(signal)
    const { directory, id, owner, value } = request
    const { sent } = await orAborted(
      this.#asked({
        text: `SELECT ${this.#parts.schema.quoted}.join_v1($1, $2, $3, $4, $5, $6, $7, $8)`,
        values: [directory, this.newId(), id, text(owner), bytes(value), ttlMs, this.#channel(directory)],
      }),
      signal,
    )
    return this.#stay(sent, ttlMs)
  }

  async beat(request: EphemeralRequest, value?: Uint8Array): Promise<BeatOutcome> {
    const ttlMs = checkedTtlMs(request)
    if (value !== undefined) checkValue(request.id, value)
    this.#parts.lifecycle.checkUsable()
    const { directory, id, owner } = request
    const { sent, answer } = await this.#asked({
      text: `SELECT ${this.#parts.schema.quoted}.beat_v1($1, $2, $3, $4, $5, $6, $7)`,
      values: [directory, id, text(owner), value === undefined ? null : bytes(value), ttlMs, this.#channel(directory)],
    })
    if (answer === 'kept') return { kind: 'kept', ...this.#stay(sent, ttlMs) }
    if (answer === 'gone' || answer === 'replaced') return { kind: answer }
    throw new InvariantError(`Expected beat_v1 to answer kept, gone or replaced, got ${answer}.`)
  }

  async leave(request: EphemeralRequest): Promise<'left' | 'lost'> {
    checkedTtlMs(request)
    this.#parts.lifecycle.checkUsable()
    const { directory, id, owner } = request
    const schema = this.#parts.schema.quoted
    const statement: Statement = {
      text: `
        WITH gone AS (
          DELETE FROM ${schema}.ephemerals e USING ${schema}.directories d
            WHERE d.name = $1 AND e.history = d.history AND e.id = $2 AND e.owner = $3
            RETURNING e.ends_at > clock_timestamp() AS was_live)
        SELECT CASE WHEN was_live THEN 'left' ELSE 'lost' END, pg_notify($4, 'e') FROM gone`,
      values: [directory, id, text(owner), this.#channel(directory)],
    }
    const [row] = await this.#parts.connection.within(client => rowsOf(client, statement))
    return row?.[0] === 'left' ? 'left' : 'lost'
  }

  listen(directory: string, listener: DirectoryListener): Subscription {
    checkName('directory', directory)
    this.#parts.lifecycle.checkOpen()
    // One of its own for each call, so that the same listener may listen twice.
    const stop = this.#parts.notices.listen(this.#channel(directory), {
      told: payload => {
        if (payload.startsWith('c')) return listener.changed(payload.slice(1))
        if (payload.length > 1) this.#ends.expect(directory, Number(payload.slice(1)))
        listener.changed()
      },
      live: () => {
        this.#ends.follow(directory)
        listener.live()
      },
      down: cause => listener.down(cause),
    })
    const siblings = this.#listening.get(directory) ?? new Set()
    this.#listening.set(directory, siblings)
    const close = (): void => {
      stop()
      if (!siblings.delete(subscription) || siblings.size > 0) return
      this.#listening.delete(directory)
      this.#ends.unfollow(directory)
    }
    const subscription: Subscription = { close, [Symbol.dispose]: close }
    siblings.add(subscription)
    return subscription
  }

  /** Ends every listener. Ephemeral records that were not left stay until their time is over. */
  close(): void {
    for (const siblings of [...this.#listening.values()]) {
      for (const subscription of [...siblings]) subscription.close()
    }
  }

  async #readEnds(request: EndsRequest): Promise<Ends> {
    const statement = endsStatement(this.#parts.schema.quoted, request)
    const [row] = await this.#parts.connection.within(client => rowsOf(client, statement))
    return endsOf(row ?? [])
  }

  // Of an attempt that was given up nobody knows what became of it; each attempt with the same id makes it known.
  async #committed(commitId: string, statement: Statement): Promise<CommitAnswer> {
    let unheard = 0
    try {
      const [row] = await this.#parts.connection.within(async (client, remainingMs) => {
        unheard += 1
        const rows = await rowsOf(client, patiently(statement, remainingMs)).catch((error: unknown) => {
          if (isStatementError(error)) unheard -= 1
          throw error
        })
        unheard = 0
        return rows
      })
      return JSON.parse(row?.[0] ?? 'null') as CommitAnswer
    } catch (cause) {
      if (unheard === 0 || cause instanceof ClosedError) throw cause
      throw new UnknownOutcomeError(
        `The commit ${commitId} was sent, and its answer did not come: it may have happened. Sent again with the same id it ` +
          'happens once.',
        { cause },
      )
    }
  }

  async #asked(statement: Statement): Promise<{ readonly sent: Moment; readonly answer: string | undefined }> {
    return await this.#parts.connection.within(async (client, remainingMs) => {
      const sent = momentOf(this.#parts.clock)
      const [row] = await rowsOf(client, patiently(statement, remainingMs))
      return { sent, answer: row?.[0] ?? undefined }
    })
  }

  #checkStart(signal: AbortSignal | undefined): void {
    this.#parts.lifecycle.checkOpen()
    signal?.throwIfAborted()
  }

  #stay(sent: Moment, ttlMs: number): Stay {
    return { deadline: answeredDeadline(this.#parts.clock, sent, ttlMs), ttlMs }
  }

  #channel(directory: string): string {
    return channelOf(this.#parts.schema.name, directory)
  }
}

// All of it as text: how the user's driver reads types is his to choose.
const AS_TEXT = { getTypeParser: () => (value: string) => value }

async function rowsOf(client: PoolClient, { text: sql, values }: Statement): Promise<ReadRow[]> {
  const { rows } = await client.query<string[]>({
    text: sql,
    values: [...values],
    rowMode: 'array',
    types: AS_TEXT as never,
  })
  return rows as unknown as ReadRow[]
}

// Who waits for a lock says how long, as the last parameter: so that he has given up, and is heard, before his caller gives up.
function patiently({ text: sql, values }: Statement, remainingMs: number): Statement {
  return { text: sql, values: [...values, Math.max(1, Math.floor(remainingMs * 0.9))] }
}

function checkedTtlMs({ directory, id, ttlMs }: EphemeralRequest): number {
  checkName('directory', directory)
  checkName('id', id)
  if (ttlMs === undefined) return EPHEMERAL_TTL_MS_DEFAULT
  checkDurationMs('ttlMs', ttlMs, TTL_MS)
  return ttlMs
}

function expected({ expect }: RecordChange): string | null {
  if (expect === undefined) return null
  return expect === 'absent' ? '-' : text(`=${expect.version}`)
}

function conflictsOf(
  changes: readonly RecordChange[],
  actual: readonly { readonly id: string; readonly version: string | null }[],
): readonly RecordConflict[] {
  return actual.flatMap(({ id, version }) => {
    const expect = changes.find(change => change.id === id)?.expect
    if (expect === undefined) return []
    return [{ id, expected: expect, actual: version === null ? 'absent' : { version } }]
  })
}

// PostgreSQL's text has no zero character, so nothing that is stored has one.
function text(value: string): string {
  return value.replaceAll('\0', '\uFFFD')
}

// A copy: it may be sent when the caller has long written something else there.
function bytes(value: Uint8Array): Buffer {
  return Buffer.from(value)
}
