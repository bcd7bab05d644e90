import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { RedisConnection } from './connection.ts'
import type { ReplicatedAnswers, Replication } from './replication.ts'
import type { StepParts, StepRoute, StepScripts } from './steps.ts'
import { Step, STEPS_MAX } from './steps.ts'

/**
 * Sends steps that count only once replicas have them. `WAIT` holds up all that follows on its connection, so this one is of its own, and
 * one group of steps is on its way at a time, which all share a `WAIT`.
 */
export class ReplicatedStepSender implements StepRoute {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  readonly #scripts: StepScripts
  readonly #replication: Replication
  #queue: Step[] = []
  #isUnderWay = false

  constructor(
    parts: { readonly connection: RedisConnection; readonly clock: Clock; readonly replication: Replication },
    scripts: StepScripts,
  ) {
    this.#connection = parts.connection
    this.#clock = parts.clock
    this.#replication = parts.replication
    this.#scripts = scripts
  }

  send(parts: StepParts): void {
    const isFirst = this.#queue.push(new Step(parts, this.#scripts.one, this.#clock)) === 1
    // As in `StepSender`: once nothing else is left to run in this turn.
    if (isFirst && !this.#isUnderWay) queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    const group = this.#queue
    if (this.#isUnderWay || group.length === 0) return
    this.#queue = []
    this.#isUnderWay = true
    let sent: Moment
    this.#connection.run<ReplicatedAnswers>({
      isIdempotent: true,
      send: async (client: Redis) => {
        sent = momentOf(this.#clock)
        const { answers, shortage } = await this.#replication.run(client, pipeline => {
          for (const { keys, words } of callsOf(group)) pipeline.evalsha(this.#scripts.many.sha, keys, ...words)
          return pipeline
        })
        return { answers: answers.flat(), shortage }
      },
      answered: ({ answers, shortage }) => {
        this.#next()
        for (const [index, step] of group.entries()) {
          const answer = answers[index]
          step.answered(shortage !== undefined && isHeld(step.parts, answer) ? shortage : answer, sent)
        }
      },
      failed: error => {
        this.#next()
        for (const step of group) step.failed(error)
      },
    })
  }

  #next(): void {
    this.#isUnderWay = false
    queueMicrotask(() => process.nextTick(() => this.#flush()))
  }
}

/** Sends what may grant or renew one way, and what takes back another. */
export class TwoWaySender implements StepRoute {
  readonly #granting: StepRoute
  readonly #releasing: StepRoute

  constructor(ways: { readonly granting: StepRoute; readonly releasing: StepRoute }) {
    this.#granting = ways.granting
    this.#releasing = ways.releasing
  }

  send(step: StepParts): void {
    if (step.order.startsWith('r')) this.#releasing.send(step)
    else this.#granting.send(step)
  }
}

/** Whether an answer says that something is held now. Tokens have 20 digits. */
export function isHeld({ order }: StepParts, answer: unknown): boolean {
  if (order.startsWith('n')) return Number(answer) === 1
  return typeof answer === 'string' && answer.length >= 20
}

function callsOf(group: readonly Step[]): readonly { readonly keys: number; readonly words: readonly string[] }[] {
  const calls: { readonly keys: number; readonly words: readonly string[] }[] = []
  for (let from = 0; from < group.length; from += STEPS_MAX) {
    const batch = group.slice(from, from + STEPS_MAX).map(({ parts }) => parts)
    const keys = batch.flatMap(parts => parts.keys)
    calls.push({ keys: keys.length, words: [...keys, ...batch.map(({ order }) => order)] })
  }
  return calls
}
