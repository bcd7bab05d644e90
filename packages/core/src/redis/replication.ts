import type { ChainableCommander, Cluster, Redis } from 'ioredis'
import { InvalidArgumentError, UnavailableError } from '../errors.ts'
import { show } from '../names.ts'
import { addressOf } from './driver.ts'

const REPLICAS_MAX = 100

/** Which replicas have to acknowledge a lease. @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkReplicas(replicas: unknown): void {
  if (replicas === 'none' || replicas === 'majority') return
  if (Number.isInteger(replicas) && Number(replicas) >= 1 && Number(replicas) <= REPLICAS_MAX) return
  throw new InvalidArgumentError(
    'replicas',
    `Expected \`replicas\` to be 'none', 'majority' or an integer from 1 to ${REPLICAS_MAX}, got ${show(replicas)}.`,
  )
}

/** What a script answered, and why it must not be relied on, if so. */
export interface ReplicatedAnswers {
  readonly answers: readonly unknown[]
  readonly shortage: UnavailableError | undefined
}

/** Has the replicas of a server acknowledge what a script has written, with `WAIT` right behind it on the same connection. */
export class Replication {
  readonly #replicas: 'majority' | number
  readonly #timeoutMs: number
  #seen = 0

  constructor(replicas: 'majority' | number, timeoutMs: number) {
    this.#replicas = replicas
    this.#timeoutMs = timeoutMs
  }

  /**
   * How many replicas make a majority together with the master, of the most that a master was seen with: one that is cut off sees fewer,
   * down to none. At least one.
   */
  get needed(): number {
    return this.#replicas === 'majority' ? Math.max(1, Math.floor((this.#seen + 1) / 2)) : this.#replicas
  }

  /** A master has so many replicas. */
  see(replicas: number): void {
    this.#seen = Math.max(this.#seen, replicas)
  }

  /**
   * Sends commands in one go, and waits until enough replicas have what they wrote, or for so long.
   *
   * @throws what the first of the commands that failed was answered
   */
  async run(client: Redis, add: (pipeline: ChainableCommander) => ChainableCommander): Promise<ReplicatedAnswers> {
    const { needed } = this
    const pipeline = add(client.pipeline())
    if (this.#replicas === 'majority') pipeline.info('replication')
    const replies = (await pipeline.wait(needed, this.#timeoutMs).exec()) ?? []
    for (const [error] of replies) if (error !== null) throw error
    const answers = replies.map(([, answer]) => answer)
    const acknowledged = Number(answers.pop())
    if (this.#replicas === 'majority') this.see(replicasIn(String(answers.pop())))
    if (acknowledged >= needed) return { answers, shortage: undefined }
    const who = `${acknowledged} of ${needed} needed ${needed === 1 ? 'replica' : 'replicas'}`
    const shortage = new UnavailableError(
      `Redis at ${addressOf(client as Redis | Cluster)} is not replicated enough: ${who} acknowledged the lease within ${this.#timeoutMs} ms. Ask again when so many follow the master: see its \`INFO replication\`.`,
    )
    return { answers, shortage }
  }
}

// How many replicas a master says that it has.
function replicasIn(info: string): number {
  return Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0)
}
