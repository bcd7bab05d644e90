import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { InvariantError, RefusedError, UnknownOutcomeError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import type {
  BeatOutcome,
  Commit,
  CommitOutcome,
  EphemeralRequest,
  Expectation,
  RecordChange,
  Stay,
} from '../ports/records.ts'
import { EPHEMERAL_TTL_MS_DEFAULT, RECORD_LIMITS } from '../ports/records.ts'
import type { RedisConnection } from './connection.ts'
import { isUnknownScript } from './errors.ts'
import { directoryKeys } from './keys.ts'
import { commitRecords } from './scripts/commit-records.ts'
import { beatEphemeral, joinEphemeral, leaveEphemeral } from './scripts/ephemeral-steps.ts'
import type { Script } from './scripts/script.ts'

const BEAT_OUTCOMES = ['gone', 'kept', 'replaced'] as const

interface ScriptCall {
  readonly script: Script
  readonly keys: readonly string[]
  readonly words: readonly (string | Buffer)[]
}

/** The writes of records: each is one script, and one round trip. */
export class RecordCommands {
  readonly #clock: Clock
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #newId: () => string

  constructor(
    parts: { readonly clock: Clock; readonly connection: RedisConnection },
    settings: { readonly prefix: string; readonly newId: () => string },
  ) {
    this.#clock = parts.clock
    this.#connection = parts.connection
    this.#prefix = settings.prefix
    this.#newId = settings.newId
  }

  /** Sent again when its connection broke: the server knows it by its id. */
  commit(commit: Commit): Promise<CommitOutcome> {
    const { records, commits, ephemerals } = directoryKeys(this.#prefix, commit.directory)
    const words = [commit.commitId, this.#newId(), ...commit.changes.flatMap(wordsOf)]
    const call: ScriptCall = { script: commitRecords, keys: [records, commits, ephemerals], words }
    return new Promise((resolve, reject) => {
      let timesSent = 0
      this.#connection.run<unknown>({
        isIdempotent: true,
        isNoGrant: true,
        send: client => {
          timesSent += 1
          return runScript(client, call)
        },
        answered: answer => {
          try {
            resolve(readOutcome(commit, answer as readonly string[]))
          } catch (error) {
            reject(error)
          }
        },
        failed: error => {
          // It is known to have changed nothing when it was never sent, or when the server refused all that was.
          const isKnown = timesSent === 0 || (timesSent === 1 && error instanceof RefusedError)
          reject(isKnown ? error : unknownOutcome(commit, error))
        },
      })
    })
  }

  async join(request: EphemeralRequest): Promise<Stay> {
    const { owner, value, id } = request
    const ttlMs = ttlMsOf(request)
    const { sent } = await this.#step(joinEphemeral, request, [id, owner, String(ttlMs), bytesOf(value), this.#newId()])
    return this.#stay(sent, ttlMs)
  }

  async beat(request: EphemeralRequest, value: Uint8Array | undefined): Promise<BeatOutcome> {
    const { owner, id } = request
    const ttlMs = ttlMsOf(request)
    const change = value === undefined ? ['0', ''] : ['1', bytesOf(value)]
    const { answer, sent } = await this.#step(beatEphemeral, request, [id, owner, String(ttlMs), ...change])
    const kind = BEAT_OUTCOMES[answer]
    if (kind === undefined) throw new InvariantError(`The beat step answered ${answer}.`)
    return kind === 'kept' ? { kind, ...this.#stay(sent, ttlMs) } : { kind }
  }

  async leave(request: EphemeralRequest): Promise<'left' | 'lost'> {
    const { answer } = await this.#step(leaveEphemeral, request, [request.id, request.owner])
    return answer === 1 ? 'left' : 'lost'
  }

  async #step(
    script: Script,
    { directory }: EphemeralRequest,
    words: readonly (string | Buffer)[],
  ): Promise<{ readonly answer: number; readonly sent: Moment }> {
    const { ephemerals, deadlines } = directoryKeys(this.#prefix, directory)
    let sent = momentOf(this.#clock)
    const answer = await this.#connection.ask(client => {
      sent = momentOf(this.#clock)
      return runScript(client, { script, keys: [ephemerals, deadlines], words })
    })
    return { answer: Number(answer), sent }
  }

  #stay(sent: Moment, ttlMs: number): Stay {
    return { deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
  }
}

function ttlMsOf({ ttlMs }: EphemeralRequest): number {
  return ttlMs ?? EPHEMERAL_TTL_MS_DEFAULT
}

// Not loaded beforehand: in a Cluster nobody knows which node will be asked, and who only reads may not load.
async function runScript(client: Redis, { script, keys, words }: ScriptCall): Promise<unknown> {
  const rest = [keys.length, ...keys, ...words] as const
  try {
    return await client.evalsha(script.sha, ...rest)
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    return await client.eval(script.lua, ...rest)
  }
}

function wordsOf(change: RecordChange): readonly (string | Buffer)[] {
  const expect = change.expect === undefined ? '' : expectationWord(change.expect)
  return [change.kind.slice(0, 1) + expect, change.id, change.kind === 'put' ? bytesOf(change.value) : '']
}

function expectationWord(expect: Expectation): string {
  return expect === 'absent' ? 'a' : `v${expect.version}`
}

// A copy: it may be sent later, or again, when the caller has gone on using his. The driver takes any other Uint8Array for text.
function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value)
}

function readOutcome(commit: Commit, [kind, ...words]: readonly string[]): CommitOutcome {
  switch (kind) {
    case 'committed': {
      const [history = '', number, us] = words
      const revision = { history, number: Number(number), commit: commit.commitId }
      return { kind, revision, committedAtMs: Math.floor(Number(us) / 1_000) }
    }
    case 'conflict':
      return { kind, conflicts: readConflicts(commit, words) }
    case 'forgotten':
      throw unknownOutcome(commit, undefined)
    case 'full':
      throw new RefusedError(
        `A directory has at most ${RECORD_LIMITS.directoryRecordsMax} records; this one would have ${words[0]}.`,
      )
    default:
      throw new InvariantError(`The commit step answered ${JSON.stringify(kind)}.`)
  }
}

function readConflicts(commit: Commit, words: readonly string[]): (CommitOutcome & { kind: 'conflict' })['conflicts'] {
  const conflicts = []
  for (let at = 0; at < words.length; at += 2) {
    const change = commit.changes[Number(words[at])]
    if (change?.expect === undefined)
      throw new InvariantError(`The commit step found a conflict in change ${words[at]}.`)
    const actual = words[at + 1] ?? 'a'
    conflicts.push({
      id: change.id,
      expected: change.expect,
      actual: actual === 'a' ? ('absent' as const) : { version: actual.slice(1) },
    })
  }
  return conflicts
}

function unknownOutcome({ commitId, directory }: Commit, cause: unknown): UnknownOutcomeError {
  const why = cause === undefined ? 'its answer is not remembered any more' : 'it was sent, and not answered'
  return new UnknownOutcomeError(`The commit ${commitId} of "${directory}" may have happened: ${why}.`, { cause })
}
