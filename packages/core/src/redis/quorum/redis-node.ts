import type { Redis } from 'ioredis'
import type { BackendHealth } from '../../backend.ts'
import type { Clock } from '../../clock.ts'
import { ClosedError, HoldfastError, UnavailableError, UnsupportedError } from '../../errors.ts'
import type { LeaseHolder } from '../../ports/leases.ts'
import type { Ballot, QuorumNode, VoteAnswer, VoteRef } from '../../quorum/node.ts'
import type { EventPoint } from '../../telemetry.ts'
import { eventPoint } from '../../telemetry.ts'
import { RedisConnection } from '../connection.ts'
import { checkDatabase } from '../driver.ts'
import { unanswered } from '../errors.ts'
import type { Script } from '../scripts/script.ts'
import { checkVersion, readInfo } from '../server.ts'
import type { EventTurns } from './event-turns.ts'
import { standingKey, voteKey } from './keys.ts'
import { admitServer, askStanding } from './scripts/admit-server.ts'
import type { CastScripts } from './scripts/cast-vote.ts'
import { UNKNOWN_SERVER, castScripts } from './scripts/cast-vote.ts'
import { raiseToken, renewVote, withdrawVote } from './scripts/keep-vote.ts'
import { isOne, readVote, readVoteState } from './vote-state.ts'

/** What `holdfast:redis.vote` carries: what one server of a quorum answered to one who asked for its vote. */
export interface VoteEvent {
  readonly server: string
  readonly resource: string
  /** `failed`: it gave no answer, or refused. */
  readonly answer: VoteAnswer['kind'] | 'failed'
  /** Of a failure. */
  readonly cause: unknown
}

const voteEvent: EventPoint<VoteEvent> = eventPoint('redis.vote')

/** What a server of a quorum was found to be. */
export interface QuorumServerFacts {
  /** What a server calls itself as long as it runs. */
  readonly runId: string
  /** Whether it may throw votes away to make room. */
  readonly evicts: boolean
}

/** What a `RedisQuorumNode` is made of. */
export interface RedisNodeSettings {
  /** For messages. */
  readonly name: string
  readonly clock: Clock
  readonly prefix: string
  readonly commandTimeoutMs: number
  readonly quarantineMs: number
  /** For how long a server remembers a token after its vote has ended. */
  readonly keepMs: number
  readonly open: () => Promise<Redis>
  /** Throws when a server with these facts cannot be one of them. */
  readonly admit: (node: RedisQuorumNode, facts: QuorumServerFacts) => void
  /** Shared by the servers of a quorum. */
  readonly turns: EventTurns
  /** Something became otherwise: whether it can be reached, or for how long it is quarantined. */
  readonly changed: () => void
}

/**
 * - `new`: not connected yet; whoever asks waits for it.
 * - `up`: the last thing heard of it was good. `votesAtMs`, by the monotonic clock, is when its quarantine ends, as far as we know.
 * - `down`: whoever asks is told at once, and nothing is sent: the connection is being made again in the background.
 */
export type NodeStatus =
  | { readonly kind: 'new' }
  | { readonly kind: 'up'; readonly votesAtMs: number }
  | { readonly kind: 'down'; readonly cause: unknown }

/** What EVALSHA is sent with. */
type ScriptArguments = readonly [sha: string, keys: number, ...keysAndWords: readonly (string | number)[]]

const STEADY_SCRIPTS: readonly Script[] = [raiseToken, renewVote, withdrawVote, askStanding, admitServer]

/** One call of a script. */
interface Call<T> {
  /** Called when it is sent. */
  readonly words: () => ScriptArguments
  readonly read: (answer: unknown) => T | Promise<T>
  readonly failed?: (error: unknown) => void
}

/** One Redis of a quorum, through a connection of our own. Everything is sent once: what got no answer is the quorum's to judge. */
export class RedisQuorumNode implements QuorumNode {
  readonly name: string
  readonly #settings: RedisNodeSettings
  readonly #connection: RedisConnection
  readonly #keepDigits: string
  #facts: QuorumServerFacts | undefined
  #status: NodeStatus = { kind: 'new' }
  #opening: Promise<void> | undefined
  #looking: Promise<number> | undefined
  readonly #waiting = new Set<(error: unknown) => void>()
  #votesAtMs = 0
  #writtenTurn = 0
  // By which its vote is asked for, as far as it is known.
  #casting: CastScripts = UNKNOWN_SERVER
  #misuse: HoldfastError | undefined

  constructor(settings: RedisNodeSettings) {
    this.name = settings.name
    this.#settings = settings
    this.#keepDigits = String(settings.keepMs).padStart(8, '0')
    this.#connection = new RedisConnection({
      clock: settings.clock,
      commandTimeoutMs: settings.commandTimeoutMs,
      open: settings.open,
      isOurs: true,
      scripts: () => [this.#casting.fenced, this.#casting.unfenced, ...STEADY_SCRIPTS],
      examine: async client => {
        await this.#examine(client)
        return { guarantee: 'advisory', holdBackMs: 0 }
      },
      onHealth: health => this.#onHealth(health),
    })
  }

  get status(): NodeStatus {
    return this.#status
  }

  /** Why this server cannot be one of the quorum, if so. */
  get misuse(): HoldfastError | undefined {
    return this.#misuse
  }

  /** Undefined before it was first reached. */
  get facts(): QuorumServerFacts | undefined {
    return this.#facts
  }

  vote(ballot: Ballot): Promise<VoteAnswer> {
    return this.#cast(ballot, () => this.#voteAnew(ballot))
  }

  raise(vote: VoteRef, token: string): Promise<boolean> {
    return this.#run({
      words: () => [raiseToken.sha, 1, this.#keyOf(vote.resource), `${vote.requestId} `, token],
      read: isOne,
    })
  }

  renew(vote: VoteRef, ttlMs: number): Promise<boolean> {
    const { keepMs } = this.#settings
    return this.#run({
      words: () => [
        renewVote.sha,
        1,
        this.#keyOf(vote.resource),
        `${vote.requestId} `,
        this.#keepDigits,
        ttlMs + keepMs,
      ],
      read: isOne,
    })
  }

  withdraw(vote: VoteRef): Promise<boolean> {
    return this.#run({
      words: () => [withdrawVote.sha, 1, this.#keyOf(vote.resource), `${vote.requestId} `],
      read: isOne,
    })
  }

  async inspect(resource: string): Promise<LeaseHolder | undefined> {
    await this.#usable()
    const key = this.#keyOf(resource)
    const [text, leftMs] = await this.#connection.within(client => Promise.all([client.get(key), client.pttl(key)]))
    return readVoteState(text ?? '', Number(leftMs))
  }

  /** Asks it in how many ms it may vote: 0 or less = now. Rejects when it cannot be reached, or cannot be one of a quorum. */
  async look(): Promise<number> {
    const { prefix, quarantineMs } = this.#settings
    const before = this.#casting
    const remainingMs = await this.#run({
      words: () => [askStanding.sha, 1, standingKey(prefix), quarantineMs],
      read: answer => this.#noteStanding(answer),
    })
    if (this.#casting.fenced.sha !== before.fenced.sha) await this.#loadCasting()
    this.#setUp(remainingMs)
    return remainingMs
  }

  /** What `scripts/admit-server.ts` answers. */
  async admit(word: 'look' | 'admit'): Promise<'new' | 'voting' | 'returned'> {
    const { prefix, quarantineMs } = this.#settings
    return await this.#run({
      words: () => [admitServer.sha, 1, standingKey(prefix), quarantineMs, word],
      read: standing => standing as 'new' | 'voting' | 'returned',
    })
  }

  close(): void {
    this.#connection.close()
    this.#failWaiting(new ClosedError('quorum backend'))
  }

  #keyOf(resource: string): string {
    return voteKey(this.#settings.prefix, resource)
  }

  #cast(ballot: Ballot, whenChanged: () => Promise<VoteAnswer>): Promise<VoteAnswer> {
    const { resource, requestId, ttlMs, meta, isFenced } = ballot
    return this.#run({
      words: () => {
        // Of the server as it is when the vote is sent: before that, it may be another one.
        const { sha } = isFenced ? this.#casting.fenced : this.#casting.unfenced
        const record = `${this.#keepDigits}${requestId} ${meta}`
        return [sha, 1, this.#keyOf(resource), record, ttlMs + this.#settings.keepMs]
      },
      read: value => {
        if (value === 0 || value === '0') return whenChanged()
        const answer = readVote(value)
        if (voteEvent.isHeard) this.#tell(resource, answer.kind, undefined)
        return answer
      },
      failed: error => this.#tell(resource, 'failed', error),
    })
  }

  // The server was not asked yet whether it may vote, or is not what it was.
  async #voteAnew(ballot: Ballot): Promise<VoteAnswer> {
    const remainingMs = await this.#lookTogether().catch((error: unknown) => {
      this.#tell(ballot.resource, 'failed', error)
      throw error
    })
    if (remainingMs <= 0) return await this.#cast(ballot, () => Promise.reject(this.#restless()))
    this.#tell(ballot.resource, 'quarantined', undefined)
    return { kind: 'quarantined', remainingMs }
  }

  // For all votes that were under way when the server became another one.
  #lookTogether(): Promise<number> {
    if (this.#looking !== undefined) return this.#looking
    const looking = this.look()
    const over = (): void => void (this.#looking = undefined)
    looking.then(over, over)
    this.#looking = looking
    return looking
  }

  // Once, and not by each vote that the server would not know: hundreds that load it are late all of them. Who finds it missing loads it.
  async #loadCasting(): Promise<void> {
    await this.#connection.once(client => load(client, this.#casting)).catch(() => {})
  }

  // One promise where the server is up: many of them cost as much as the rest of a vote does here.
  #run<T>(call: Call<T>): Promise<T> {
    if (this.#status.kind === 'up' && this.#opening === undefined) return this.#send(call)
    const usable = this.#usable()
    usable.catch((error: unknown) => call.failed?.(error))
    return usable.then(() => this.#send(call))
  }

  #send<T>({ words, read, failed }: Call<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#connection.run<unknown>({
        send: client => {
          this.#gather(client)
          return client.evalsha(...words())
        },
        answered: answer => {
          try {
            resolve(read(answer))
          } catch (error) {
            reject(error)
          }
        },
        failed: error => {
          failed?.(error)
          reject(error instanceof HoldfastError ? error : unanswered(this.name, error))
        },
        isIdempotent: false,
      })
    })
  }

  // What comes up in one turn of the event loop goes out as one, but for the first: writing to sockets is most of what many votes cost.
  #gather({ stream }: Redis): void {
    const { turns } = this.#settings
    const turn = turns.current()
    if (turn === this.#writtenTurn) {
      if (stream.writableCorked > 0) return
      stream.cork()
      turns.atEnd(() => stream.uncork())
    }
    this.#writtenTurn = turn
  }

  // Whoever is there first connects; who is known to be gone costs nobody a wait. All wait for one promise, so they go on in order, and
  // nobody overtakes them before it is forgotten: what takes a vote back must come behind it.
  #usable(): Promise<void> {
    if (this.#connection.isClosed) return Promise.reject(new ClosedError('quorum backend'))
    if (this.#opening !== undefined) return this.#opening
    if (this.#status.kind === 'up') return Promise.resolve()
    if (this.#status.kind === 'down') return Promise.reject(this.#down(this.#status.cause))
    const opening = this.#open()
    const over = (): void => void (this.#opening = undefined)
    opening.then(over, over)
    this.#opening = opening
    return opening
  }

  #open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject)
      const over = (): void => void this.#waiting.delete(reject)
      this.#connection
        .ask(client => client.ping())
        .then(() => resolve(), reject)
        .finally(over)
    })
  }

  #onHealth(health: BackendHealth): void {
    if (health.kind !== 'suspended') return this.#setUp(undefined)
    if (this.#connection.isClosed) return
    this.#status = { kind: 'down', cause: health.cause ?? this.#connection.lastError }
    this.#failWaiting(this.#down(this.#status.cause))
    this.#settings.changed()
  }

  #setUp(quarantineMs: number | undefined): void {
    const known = this.#status.kind === 'up' ? this.#status.votesAtMs : this.#votesAtMs
    const votesAtMs = quarantineMs === undefined ? known : this.#settings.clock.monotonicMs() + quarantineMs
    this.#status = { kind: 'up', votesAtMs }
    this.#settings.changed()
  }

  async #examine(client: Redis): Promise<void> {
    await checkDatabase(client)
    const info = await readInfo(client)
    this.#check(info)
    if (info.get('role') === 'slave') throw new Error('READONLY The server is a replica.')
    const { prefix, quarantineMs, clock } = this.#settings
    const answer = await client.eval(askStanding.lua, 1, standingKey(prefix), quarantineMs)
    this.#votesAtMs = clock.monotonicMs() + this.#noteStanding(answer)
    await load(client, this.#casting)
  }

  #restless(): UnavailableError {
    return new UnavailableError(`Redis at ${this.name} became another one while it was asked for its vote.`)
  }

  // In how many ms it may vote; its marker, which begins with its run id and its replication id; and the key of that.
  #noteStanding(answer: unknown): number {
    const [remainingMs, marker = '', key = ''] = (answer as readonly unknown[]).map(String)
    const [identity = ''] = marker.split(' ')
    const known = { standingKey: key, marker, replication: identity.split(':')[1] ?? '' }
    this.#casting = Number(remainingMs) > 0 ? UNKNOWN_SERVER : castScripts(known)
    return Number(remainingMs)
  }

  #check(info: ReadonlyMap<string, string>): void {
    const evicts = info.get('maxmemory') !== '0' && info.get('maxmemory_policy') !== 'noeviction'
    const facts = { runId: info.get('run_id') ?? '', evicts }
    try {
      checkVersion(info)
      checkAlone(this.name, info)
      this.#settings.admit(this, facts)
      this.#misuse = undefined
      this.#facts = facts
    } catch (error) {
      if (error instanceof HoldfastError) this.#misuse = error
      throw error
    }
  }

  #down(cause: unknown): UnavailableError {
    if (cause instanceof UnavailableError) return cause
    if (cause === undefined) return new UnavailableError(`Redis at ${this.name} closed the connection.`)
    return unanswered(this.name, cause)
  }

  #failWaiting(error: unknown): void {
    for (const reject of [...this.#waiting]) reject(error)
    this.#waiting.clear()
  }

  #tell(resource: string, answer: VoteEvent['answer'], cause: unknown): void {
    if (voteEvent.isHeard) voteEvent.publish({ server: this.name, resource, answer, cause })
  }
}

async function load(client: Redis, { fenced, unfenced }: CastScripts): Promise<void> {
  await Promise.all([fenced, unfenced].map(({ lua }) => client.script('LOAD', lua)))
}

function checkAlone(name: string, info: ReadonlyMap<string, string>): void {
  const mode = info.get('redis_mode')
  if (mode === undefined || mode === 'standalone') return
  throw new UnsupportedError(
    `Expected the servers of a quorum to be independent, and ${name} runs in the mode ${mode}: give servers that know nothing of each other.`,
  )
}
