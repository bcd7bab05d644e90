import type { ChainableCommander, Redis } from 'ioredis'
import { InvariantError } from '../errors.ts'
import type { DirectoryRead, ReadRequest } from '../ports/records.ts'
import type { RedisConnection } from './connection.ts'
import { isCluster } from './driver.ts'
import type { DirectoryKeys } from './keys.ts'
import { directoryKeys } from './keys.ts'
import type { StoredFields } from './stored-directory.ts'
import { fieldOf, readEphemerals, readMeta, readRecords } from './stored-directory.ts'

/** When something ends next, by the server's clock in milliseconds. */
export interface NextEnd {
  readonly nowMs: number
  /** Undefined when nothing will. */
  readonly endsAtMs: number | undefined
}

/**
 * The reads of records. Plain commands: who may only read can run them, and need not be allowed any script. Without ephemeral
 * records a read is one command; with them it is a few that are sent together, the server's time first: what has not ended by
 * then was there.
 */
export class RecordReads {
  readonly #connection: RedisConnection
  readonly #prefix: string

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  /** `isNews` says that something has changed since `unless`: then to ask first would be a round trip for nothing. */
  async read(request: ReadRequest, isNews: boolean): Promise<DirectoryRead> {
    const keys = directoryKeys(this.#prefix, request.directory)
    return request.ephemerals === true
      ? await this.#readBoth(request, keys)
      : await this.#readRecords(request, keys, isNews)
  }

  /** Which end comes next of those after a moment of the server's time; without one, of all. */
  async nextEnd(directory: string, afterMs: number | undefined): Promise<NextEnd> {
    const { deadlines } = directoryKeys(this.#prefix, directory)
    const from = afterMs === undefined ? '-inf' : `(${afterMs}`
    const replies = await this.#together(batch =>
      batch.zrange(deadlines, from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES'),
    )
    const [nowMs, ends] = replies as [number, unknown[]]
    const [endsAtMs] = readDeadlines(ends).values()
    return { nowMs, endsAtMs }
  }

  async #readRecords({ ids, unless }: ReadRequest, keys: DirectoryKeys, isNews: boolean): Promise<DirectoryRead> {
    if (unless !== undefined && !isNews) {
      const meta = await this.#connection.ask(client => client.hget(keys.records, 'm'))
      if (meta === unless) return { kind: 'unchanged' }
    }
    const fields = await this.#connection.ask(client => fieldsOf(client, keys.records, ids))
    const meta = fields['m']?.toString() ?? (await this.#connection.ask(client => client.hget(keys.ephemerals, 'm')))
    if (meta === null) return { kind: 'missing' }
    if (meta === unless) return { kind: 'unchanged' }
    return { kind: 'present', ...readMeta(meta), records: readRecords(fields), ephemerals: new Map(), stamp: meta }
  }

  async #readBoth({ ids, unless }: ReadRequest, keys: DirectoryKeys): Promise<DirectoryRead> {
    if (unless !== undefined && (await this.#readStamp(keys)) === unless) return { kind: 'unchanged' }
    const replies = await this.#together(batch => {
      const withRecords =
        ids === undefined
          ? batch.hgetallBuffer(keys.records)
          : batch.hmgetBuffer(keys.records, 'm', ...ids.map(fieldOf))
      return withRecords.hgetallBuffer(keys.ephemerals).zrange(keys.deadlines, '0', '-1', 'WITHSCORES')
    })
    const [nowMs, hash, ephemeralHash, ends] = replies as [
      number,
      StoredFields | (Buffer | null)[],
      StoredFields,
      unknown[],
    ]
    const fields = Array.isArray(hash) ? pairedFields(ids ?? [], hash) : hash
    const meta = fields['m']?.toString() ?? ephemeralHash['m']?.toString()
    if (meta === undefined) return { kind: 'missing' }
    const deadlines = readDeadlines(ends)
    const endedCount = [...deadlines.values()].filter(endsAtMs => endsAtMs <= nowMs).length
    const stamp = stampOf(meta, ephemeralHash['n']?.toString(), endedCount)
    if (stamp === unless) return { kind: 'unchanged' }
    const ephemerals = readEphemerals(ephemeralHash, deadlines, nowMs)
    return { kind: 'present', ...readMeta(meta), records: readRecords(fields), ephemerals, stamp }
  }

  /** Undefined where one has ended that nobody swept away: to count those all have to be read. */
  async #readStamp(keys: DirectoryKeys): Promise<string | undefined> {
    const replies = await this.#together(batch =>
      batch.hget(keys.records, 'm').hmget(keys.ephemerals, 'm', 'n').zrange(keys.deadlines, '0', '0', 'WITHSCORES'),
    )
    const [nowMs, meta, [ephemeralMeta, change], ends] = replies as [
      number,
      string | null,
      [string | null, string | null],
      unknown[],
    ]
    const current = meta ?? ephemeralMeta
    const hasEnded = [...readDeadlines(ends).values()].some(endsAtMs => endsAtMs <= nowMs)
    return current === null || hasEnded ? undefined : stampOf(current, change ?? undefined, 0)
  }

  /** What the commands of one round trip answered, after the server's time in milliseconds. */
  #together(add: (batch: ChainableCommander) => ChainableCommander): Promise<readonly unknown[]> {
    return this.#connection.ask(async client => {
      // When keys have moved in a Cluster the driver sends a transaction anew, and not a pipeline with TIME in it. Elsewhere there
      // is no need for one, and a server that is out of memory takes none.
      // (A boolean, for the types know of no client here that is a Cluster.)
      const isInCluster: boolean = isCluster(client)
      const batch = isInCluster ? client.multi() : client.pipeline()
      const results = await add(batch.time()).exec().catch(withFirstError)
      if (results === null) throw new InvariantError('A transaction that watches nothing was not executed.')
      const failure = results.find(([error]) => error !== null)?.[0]
      if (failure) throw failure
      const [time, ...replies] = results.map(([, reply]) => reply)
      const [seconds, us] = time as readonly [string | number, string | number]
      return [Number(seconds) * 1_000 + Math.floor(Number(us) / 1_000), ...replies]
    })
  }
}

async function fieldsOf(client: Redis, key: string, ids: readonly string[] | undefined): Promise<StoredFields> {
  if (ids === undefined) return await client.hgetallBuffer(key)
  return pairedFields(ids, await client.hmgetBuffer(key, 'm', ...ids.map(fieldOf)))
}

function pairedFields(ids: readonly string[], [meta, ...values]: readonly (Buffer | null)[]): StoredFields {
  const fields: Record<string, Buffer> = {}
  if (meta) fields['m'] = meta
  ids.forEach((id, index) => {
    const value = values[index]
    if (value) fields[fieldOf(id)] = value
  })
  return fields
}

// Flat, or in pairs, as the driver's option `replyMapping` has it.
function readDeadlines(reply: readonly unknown[]): ReadonlyMap<string, number> {
  const words = reply.flat()
  const deadlines = new Map<string, number>()
  for (let at = 0; at < words.length; at += 2) deadlines.set(String(words[at]), Number(words[at + 1]))
  return deadlines
}

function stampOf(meta: string, change: string | undefined, endedCount: number): string {
  return `${meta} ${change ?? ''} ${endedCount}`
}

// A transaction that was refused says so twice: why, and that it is over.
function withFirstError(error: Error & { readonly previousErrors?: readonly Error[] }): never {
  throw error.previousErrors?.[0] ?? error
}
