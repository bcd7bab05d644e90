import { RefusedError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { Clock } from '../clock.ts'
import type { Redis } from 'ioredis'
import type { RedisConnection } from './connection.ts'
import { evaluate } from './connection.ts'
import { leaseSteps } from './scripts/lease-steps.ts'

/** One step of one lease: the key it stands on, and what the script is told. */
export interface Step {
  readonly key: string
  readonly words: readonly string[]
}

/** What the server answered, and the moment before it was asked. */
export interface StepAnswer {
  readonly sent: Moment
  /** As `scripts/lease-steps.ts` says. */
  readonly value: unknown
}

interface Queued {
  readonly step: Step
  readonly resolve: (answer: StepAnswer) => void
  readonly reject: (error: unknown) => void
}

// One call runs at most so many steps, so that it does not keep the server from others.
const STEPS_MAX = 100

/**
 * Sends steps. Those that come up in one turn of the event loop share a call, so that many locks in flight cost one round trip:
 * the batch is sent once nothing else is left to run in this turn, so a single step waits for nothing.
 */
export class StepSender {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  readonly #inboxPrefix: string
  #queue: Queued[] = []

  constructor(connection: RedisConnection, clock: Clock, inboxPrefix: string) {
    this.#connection = connection
    this.#clock = clock
    this.#inboxPrefix = inboxPrefix
  }

  send(step: Step): Promise<StepAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#queue.push({ step, resolve, reject }) === 1) this.#flushSoon()
    })
  }

  // From inside a promise reaction `nextTick` runs when all reactions have run; from elsewhere it would run before them.
  #flushSoon(): void {
    queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    const queue = this.#queue
    this.#queue = []
    for (let from = 0; from < queue.length; from += STEPS_MAX) this.#sendBatch(queue.slice(from, from + STEPS_MAX))
  }

  #sendBatch(batch: readonly Queued[]): void {
    const keys = batch.map(({ step }) => step.key)
    const args = [this.#inboxPrefix]
    for (const { step } of batch) args.push(...step.words)
    const send = async (client: Redis): Promise<void> => {
      const sent = momentOf(this.#clock)
      const answers = await evaluate(client, leaseSteps, keys, args)
      settle(batch, answers as readonly unknown[], sent)
    }
    this.#connection.within(send).catch((error: unknown) => {
      for (const { reject } of batch) reject(error)
    })
  }
}

function settle(batch: readonly Queued[], answers: readonly unknown[], sent: Moment): void {
  for (const [index, { resolve, reject }] of batch.entries()) {
    const value = answers[index]
    if (Array.isArray(value) && value[0] === 'e') reject(new RefusedError(`Redis refused: ${String(value[1])}`))
    else resolve({ sent, value })
  }
}
