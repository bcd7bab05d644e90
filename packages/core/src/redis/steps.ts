import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { HoldfastError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { Command } from './attempt.ts'
import type { RedisConnection } from './connection.ts'
import { refusal } from './errors.ts'
import { leaseStep, leaseStepInCluster, leaseSteps } from './scripts/lease-steps.ts'
import type { Script } from './scripts/script.ts'
import { sharedStep, sharedStepInCluster, sharedSteps } from './scripts/shared-steps.ts'

/** The scripts of one kind of steps. */
export interface StepScripts {
  readonly one: Script
  readonly inCluster: Script
  readonly many: Script
}

export const EXCLUSIVE_STEPS: StepScripts = { one: leaseStep, inCluster: leaseStepInCluster, many: leaseSteps }
export const SHARED_STEPS: StepScripts = { one: sharedStep, inCluster: sharedStepInCluster, many: sharedSteps }

/** What a step is told, and what becomes of its answer. */
export interface StepParts {
  /** As its script wants them. */
  readonly keys: readonly string[]
  /** As its script says. */
  readonly order: string
  /** Reads the answer; `sent` is the moment before it was asked for. */
  readonly read: (answer: unknown, sent: Moment) => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Whether it may take a place in the queue, and so has to hear when it is its turn. */
  readonly mayWait: boolean
}

/** Where steps are sent. */
export interface StepRoute {
  send(step: StepParts): void
}

/** One step of one lease, on its way alone or with others. Methods, not closures: there are two steps in each use of a lock. */
export class Step implements Command<unknown> {
  readonly isIdempotent = true
  readonly parts: StepParts
  readonly #script: Script
  readonly #clock: Clock
  #sent: Moment | undefined

  constructor(parts: StepParts, script: Script, clock: Clock) {
    this.parts = parts
    this.#script = script
    this.#clock = clock
  }

  // The moment is taken each time it is sent, so that a repeated one counts from its own.
  send(client: Redis): Promise<unknown> {
    this.#sent = momentOf(this.#clock)
    const { keys, order } = this.parts
    return client.evalsha(this.#script.sha, keys.length, ...keys, order)
  }

  answered(answer: unknown, sent: Moment | undefined = this.#sent): void {
    if (answer instanceof Error) return this.failed(answer instanceof HoldfastError ? answer : refusal(answer))
    try {
      this.parts.resolve(this.parts.read(answer, sent ?? momentOf(this.#clock)))
    } catch (error) {
      this.failed(error)
    }
  }

  failed(error: unknown): void {
    this.parts.reject(error)
  }
}

// One call runs at most so many steps: it must not keep the server from others, and the server works on the next call while the
// answers of this one are read.
export const STEPS_MAX = 32

/**
 * Sends steps. Those that come up in one turn of the event loop share a call, so that many locks in flight cost one round trip:
 * the batch is sent once nothing else is left to run in this turn, so a single step waits for nothing.
 */
export class StepSender implements StepRoute {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  readonly #scripts: StepScripts
  #queue: Step[] = []

  constructor(connection: RedisConnection, clock: Clock, scripts: StepScripts) {
    this.#connection = connection
    this.#clock = clock
    this.#scripts = scripts
  }

  send(parts: StepParts): void {
    const step = new Step(parts, this.#scripts.one, this.#clock)
    // From inside a promise reaction `nextTick` runs when all reactions have run; from elsewhere it would run before them.
    if (this.#queue.push(step) === 1) queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    const queue = this.#queue
    this.#queue = []
    const [first] = queue
    if (queue.length === 1 && first !== undefined) return this.#connection.run(first)
    for (let from = 0; from < queue.length; from += STEPS_MAX) this.#sendBatch(queue.slice(from, from + STEPS_MAX))
  }

  #sendBatch(batch: readonly Step[]): void {
    const words: string[] = []
    for (const { parts } of batch) words.push(...parts.keys)
    const keys = words.length
    for (const { parts } of batch) words.push(parts.order)
    let sent: Moment
    this.#connection.run<unknown>({
      isIdempotent: true,
      send: (client: Redis) => {
        sent = momentOf(this.#clock)
        return client.evalsha(this.#scripts.many.sha, keys, ...words)
      },
      answered: answers => {
        let index = 0
        for (const step of batch) step.answered((answers as readonly unknown[])[index++], sent)
      },
      failed: error => {
        for (const step of batch) step.failed(error)
      },
    })
  }
}
