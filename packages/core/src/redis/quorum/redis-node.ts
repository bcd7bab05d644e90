import type { Redis } from 'ioredis'
import type { BackendHealth } from '../../backend.ts'
import type { Clock } from '../../clock.ts'
import { ClosedError, HoldfastError, InvariantError, UnavailableError, UnsupportedError } from '../../errors.ts'
import type { LeaseHolder } from '../../ports/leases.ts'
import type { Ballot, QuorumNode, VoteAnswer, VoteRef } from '../../quorum/node.ts'
import type { EventPoint } from '../../telemetry.ts'
import { eventPoint } from '../../telemetry.ts'
import { RedisConnection } from '../connection.ts'
import { checkDatabase } from '../driver.ts'
import { unanswered } from '../errors.ts'
import type { Script } from '../scripts/script.ts'
import { checkVersion, readInfo } from '../server.ts'
import { standingKey, voteKey } from './keys.ts'
import { admitServer, askStanding } from './scripts/admit-server.ts'
import { castVote } from './scripts/cast-vote.ts'
import { raiseToken, renewVote, withdrawVote } from './scripts/keep-vote.ts'
import { readVoteState } from './vote-state.ts'

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

/** One Redis of a quorum, through a connection of our own. Everything is sent once: what got no answer is the quorum's to judge. */
export class RedisQuorumNode implements QuorumNode {
  readonly name: string
  readonly #settings: RedisNodeSettings
  readonly #connection: RedisConnection
  #facts: QuorumServerFacts | undefined
  #status: NodeStatus = { kind: 'new' }
  #opening: Promise<void> | undefined
  readonly #waiting = new Set<(error: unknown) => void>()
  #votesAtMs = 0
  #misuse: HoldfastError | undefined

  constructor(settings: RedisNodeSettings) {
    this.name = settings.name
    this.#settings = settings
    this.#connection = new RedisConnection({
      clock: settings.clock,
      commandTimeoutMs: settings.commandTimeoutMs,
      open: settings.open,
      isOurs: true,
      scripts: [castVote, raiseToken, renewVote, withdrawVote, askStanding, admitServer],
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

  async vote({ resource, requestId, ttlMs, meta }: Ballot): Promise<VoteAnswer> {
    const { prefix, quarantineMs, keepMs } = this.#settings
    const keys = [standingKey(prefix), voteKey(prefix, resource)]
    try {
      const answer = readVote(await this.#run(castVote, keys, [quarantineMs, requestId, digits(ttlMs), keepMs, meta]))
      if (answer.kind === 'quarantined') this.#setUp(answer.remainingMs)
      this.#tell(resource, answer.kind, undefined)
      return answer
    } catch (error) {
      this.#tell(resource, 'failed', error)
      throw error
    }
  }

  async raise({ resource, requestId }: VoteRef, token: string): Promise<boolean> {
    return isOne(await this.#run(raiseToken, [voteKey(this.#settings.prefix, resource)], [requestId, token]))
  }

  async renew({ resource, requestId }: VoteRef, ttlMs: number): Promise<boolean> {
    const { prefix, keepMs } = this.#settings
    return isOne(await this.#run(renewVote, [voteKey(prefix, resource)], [requestId, digits(ttlMs), keepMs]))
  }

  async withdraw({ resource, requestId }: VoteRef): Promise<boolean> {
    return isOne(await this.#run(withdrawVote, [voteKey(this.#settings.prefix, resource)], [requestId]))
  }

  async inspect(resource: string): Promise<LeaseHolder | undefined> {
    await this.#usable()
    const [text, time] = await this.#once(client =>
      Promise.all([client.get(voteKey(this.#settings.prefix, resource)), client.time()]),
    )
    const [seconds, us] = time as readonly unknown[]
    return readVoteState(text ?? '', Number(seconds) * 1_000_000 + Number(us))
  }

  /** Asks it whether it may vote. Rejects when it cannot be reached, or cannot be one of a quorum. */
  async look(): Promise<void> {
    const { prefix, quarantineMs } = this.#settings
    this.#setUp(Number(await this.#run(askStanding, [standingKey(prefix)], [quarantineMs])))
  }

  /** What `scripts/admit-server.ts` answers. */
  async admit(word: 'look' | 'admit'): Promise<'new' | 'voting' | 'returned'> {
    const { prefix, quarantineMs } = this.#settings
    const standing = await this.#run(admitServer, [standingKey(prefix)], [quarantineMs, word])
    return standing as 'new' | 'voting' | 'returned'
  }

  close(): void {
    this.#connection.close()
    this.#failWaiting(new ClosedError('quorum backend'))
  }

  async #run(script: Script, keys: readonly string[], words: readonly (string | number)[]): Promise<unknown> {
    if (this.#status.kind !== 'up') await this.#usable()
    return await this.#once(client => client.evalsha(script.sha, keys.length, ...keys, ...words))
  }

  async #once<T>(send: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.once(send)
    } catch (error) {
      throw error instanceof HoldfastError ? error : unanswered(this.name, error)
    }
  }

  // Whoever is there first connects; who is known to be gone costs nobody a wait.
  async #usable(): Promise<void> {
    if (this.#connection.isClosed) throw new ClosedError('quorum backend')
    if (this.#status.kind === 'up') return
    if (this.#status.kind === 'down') throw this.#down(this.#status.cause)
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
    await this.#opening
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
    const leftMs = Number(await client.eval(askStanding.lua, 1, standingKey(prefix), quarantineMs))
    this.#votesAtMs = clock.monotonicMs() + leftMs
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

function checkAlone(name: string, info: ReadonlyMap<string, string>): void {
  const mode = info.get('redis_mode')
  if (mode === undefined || mode === 'standalone') return
  throw new UnsupportedError(
    `Expected the servers of a quorum to be independent, and ${name} runs in the mode ${mode}: give servers that know nothing of each other.`,
  )
}

function readVote(answer: unknown): VoteAnswer {
  if (typeof answer === 'string') return { kind: 'yes', token: answer }
  const [kind, ...facts] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
  if (kind === 'held') return { kind, by: String(facts[0]), remainingMs: Number(facts[1]) }
  if (kind === 'quarantined') return { kind, remainingMs: Number(facts[0]) }
  throw new InvariantError(`The vote was answered ${JSON.stringify(answer)}.`)
}

function digits(ttlMs: number): string {
  return String(ttlMs).padStart(8, '0')
}

// A client with the driver's option `stringNumbers` gets numbers as text.
function isOne(answer: unknown): boolean {
  return answer === 1 || answer === '1'
}
