import type { RateDecision, RateTake } from '../ports/rates.ts'
import { decisionOf, readVerdict } from '../rates/bucket.ts'
import type { RedisConnection } from './connection.ts'
import { refusal } from './errors.ts'
import { rateKey } from './keys.ts'
import { ScriptCall } from './script-call.ts'
import { takeEachRate, takeRates } from './scripts/take-rates.ts'

/** A take, and what becomes of it. */
export interface SentTake {
  readonly take: Required<RateTake>
  readonly timeoutMs: number
  readonly resolve: (decision: RateDecision) => void
  readonly reject: (error: unknown) => void
}

// One call runs at most so many: it must not keep the server from others.
const TAKES_MAX = 32

/**
 * Sends takes. Those that come up in one turn of the event loop and may take equally long share a call, as steps of leases do: the
 * batch is sent once nothing else is left to run in this turn, so a single take waits for nothing.
 *
 * In a Cluster each goes alone, for its key is in a slot of its own.
 */
export class TakeSender {
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #takesMax: number
  #queue: SentTake[] = []

  constructor(connection: RedisConnection, prefix: string, isInCluster: boolean) {
    this.#connection = connection
    this.#prefix = prefix
    this.#takesMax = isInCluster ? 1 : TAKES_MAX
  }

  send(take: SentTake): void {
    // From inside a promise reaction `nextTick` runs when all reactions have run; from elsewhere it would run before them.
    if (this.#queue.push(take) === 1) queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    const queue = this.#queue
    this.#queue = []
    let batch: SentTake[] = []
    for (const take of queue) {
      if (batch.length > 0 && (batch.length === this.#takesMax || batch[0]?.timeoutMs !== take.timeoutMs)) {
        this.#sendBatch(batch)
        batch = []
      }
      batch.push(take)
    }
    this.#sendBatch(batch)
  }

  #sendBatch(batch: readonly SentTake[]): void {
    const keys: string[] = []
    const words: number[] = []
    for (const { take } of batch) {
      keys.push(rateKey(this.#prefix, take.key))
      words.push(...wordsOf(take))
    }
    const script = batch.length === 1 ? takeRates : takeEachRate
    const timeoutMs = batch[0]?.timeoutMs ?? this.#connection.commandTimeoutMs
    const end = {
      timeoutMs,
      answered: (answers: unknown) => {
        for (const [index, sent] of batch.entries()) settle(sent, (answers as readonly unknown[])[index])
      },
      failed: (error: unknown) => {
        for (const { reject } of batch) reject(error)
      },
    }
    this.#connection.run(new ScriptCall(this.#connection, { script, keys, words }, end))
  }
}

/** As the scripts want them. */
export function wordsOf({ quota, cost, least }: Required<RateTake>): readonly number[] {
  return [quota.limit, quota.periodMs, quota.burst, cost, least]
}

function settle({ take, resolve, reject }: SentTake, answer: unknown): void {
  if (answer instanceof Error) return reject(refusal(answer))
  try {
    resolve(decisionOf(take, readVerdict(answer)))
  } catch (error) {
    reject(error)
  }
}
