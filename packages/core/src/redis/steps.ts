import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { RedisConnection } from './connection.ts'
import { refusal } from './errors.ts'
import type { LeaseKeys } from './keys.ts'
import { leaseStep, leaseSteps } from './scripts/lease-steps.ts'

/** One step of one lease: the keys it stands on, what the script is told, and what to do with the answer. */
export interface Step {
  readonly keys: LeaseKeys
  readonly order: string
  /** The answer is as `scripts/lease-steps.ts` says; `sent` is the moment before it was asked for. */
  readonly answered: (value: unknown, sent: Moment) => void
  readonly failed: (error: unknown) => void
}

// One call runs at most so many steps: it must not keep the server from others, and the server works on the next call while the
// answers of this one are read.
const STEPS_MAX = 32

/**
 * Sends steps. Those that come up in one turn of the event loop share a call, so that many locks in flight cost one round trip:
 * the batch is sent once nothing else is left to run in this turn, so a single step waits for nothing.
 */
export class StepSender {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  #queue: Step[] = []

  constructor(connection: RedisConnection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
  }

  send(step: Step): void {
    // From inside a promise reaction `nextTick` runs when all reactions have run; from elsewhere it would run before them.
    if (this.#queue.push(step) === 1) queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    const queue = this.#queue
    this.#queue = []
    if (queue.length === 1) return this.#sendOne(queue[0] as Step)
    for (let from = 0; from < queue.length; from += STEPS_MAX) this.#sendBatch(queue.slice(from, from + STEPS_MAX))
  }

  #sendOne(step: Step): void {
    let sent: Moment
    this.#connection.run<unknown>({
      isIdempotent: true,
      // The moment is taken each time it is sent, so that a repeated one counts from its own.
      send: (client: Redis) => {
        sent = momentOf(this.#clock)
        return client.evalsha(leaseStep.sha, 2, step.keys.state, step.keys.queue, step.order)
      },
      answered: answer => step.answered(answer, sent),
      failed: step.failed,
    })
  }

  #sendBatch(batch: readonly Step[]): void {
    const keys = batch.flatMap(step => [step.keys.state, step.keys.queue])
    const orders = batch.map(step => step.order)
    let sent: Moment
    this.#connection.run<unknown>({
      isIdempotent: true,
      send: (client: Redis) => {
        sent = momentOf(this.#clock)
        return client.evalsha(leaseSteps.sha, keys.length, ...keys, ...orders)
      },
      answered: answers => settle(batch, answers as readonly unknown[], sent),
      failed: error => {
        for (const step of batch) step.failed(error)
      },
    })
  }
}

function settle(batch: readonly Step[], answers: readonly unknown[], sent: Moment): void {
  for (const [index, step] of batch.entries()) {
    const value = answers[index]
    if (value instanceof Error) step.failed(refusal(value))
    else step.answered(value, sent)
  }
}
