import type { Cluster, Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { UnavailableError } from '../errors.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { Command } from './attempt.ts'
import type { ClusterInboxes } from './cluster-inboxes.ts'
import type { ClusterNodes } from './cluster-nodes.ts'
import type { RedisConnection } from './connection.ts'
import { isElsewhere, isUnknownScript } from './errors.ts'
import { isHeld } from './replicated-steps.ts'
import type { Replication } from './replication.ts'
import type { Script } from './scripts/script.ts'
import type { StepParts, StepRoute, StepScripts } from './steps.ts'
import { Step } from './steps.ts'

/** What steps in a Cluster go through. */
export interface ClusterStepsParts {
  readonly clock: Clock
  /** One whose driver follows slots, and sends nothing again. */
  readonly connection: RedisConnection
  readonly nodes: ClusterNodes
  readonly inboxes: ClusterInboxes
  readonly scripts: StepScripts
  /** Whose acknowledgement makes a step count. @default nobody's */
  readonly replication: Replication | undefined
}

/** Sends steps to whoever has the slot, each alone. */
export class ClusterStepSender implements StepRoute {
  readonly #parts: ClusterStepsParts

  constructor(parts: ClusterStepsParts) {
    this.#parts = parts
  }

  send(step: StepParts): void {
    this.#parts.connection.run(new ClusterStep(step, this.#parts))
  }
}

/** A step that is sent until a node carries it out that may: one that is known for long enough, and that we listen to if we wait. */
class ClusterStep implements Command<unknown> {
  readonly isIdempotent = true
  readonly #step: Step
  readonly #script: Script
  readonly #from: ClusterStepsParts
  #sent: Moment | undefined
  #shortage: UnavailableError | undefined
  #isOver = false

  constructor(parts: StepParts, from: ClusterStepsParts) {
    this.#script = from.scripts.inCluster
    this.#step = new Step(parts, this.#script, from.clock)
    this.#from = from
  }

  async send(client: Redis): Promise<unknown> {
    // A Cluster has the commands of a Redis, as far as they are used here.
    const cluster = client as unknown as Cluster
    const { clock, nodes, inboxes } = this.#from
    const { mayWait } = this.#step.parts
    for (;;) {
      this.#sent = momentOf(clock)
      const answer = await this.#ask(client, mayWait ? both(nodes.mayGrant, inboxes.mayQueue) : nodes.mayGrant)
      if (typeof answer !== 'string' || !answer.startsWith('@')) return answer
      const node = answer.slice(1)
      await nodes.learn(cluster, node)
      if (mayWait) await inboxes.listenTo(cluster, node)
      if (this.#isOver) throw new Error('Nobody waits for the step any more.')
    }
  }

  answered(answer: unknown): void {
    this.#isOver = true
    this.#step.answered(answer, this.#sent)
  }

  failed(error: unknown): void {
    this.#isOver = true
    // A node that took over with too few replicas may take all the time there is: to learn of it, and to wait for them in vain.
    this.#step.failed(error instanceof UnavailableError ? (this.#shortage ?? error) : error)
  }

  async #ask(client: Redis, nodes: string): Promise<unknown> {
    const { order } = this.#step.parts
    try {
      return await this.#call(client, { by: 'sha', words: [order, nodes] })
    } catch (error) {
      // Nobody knows beforehand which node will be asked. One that does not know the script ran nothing.
      if (this.#isOver || !isUnknownScript(error)) throw error
      return await this.#call(client, { by: 'lua', words: [order, nodes] })
    }
  }

  async #call(
    client: Redis,
    { by, words }: { readonly by: 'sha' | 'lua'; readonly words: readonly string[] },
  ): Promise<unknown> {
    const { keys } = this.#step.parts
    const { replication } = this.#from
    const script = this.#script[by]
    const [name, args] = [by === 'sha' ? 'evalsha' : 'eval', [...keys, ...words]] as const
    if (replication === undefined) return await client[name](script, keys.length, ...args)
    try {
      const run = await replication.run(client, pipeline => pipeline[name](script, keys.length, ...args))
      this.#shortage = run.shortage
      return run.shortage !== undefined && isHeld(this.#step.parts, run.answers[0]) ? run.shortage : run.answers[0]
    } catch (error) {
      if (!isElsewhere(error)) throw error
      // The driver follows what moves only for a command that is alone. It learns from this one, and the step is sent again.
      await client.exists(keys[0] ?? '')
      throw new Error('The slot has moved to another node.', { cause: error })
    }
  }
}

function both(mayGrant: string, mayQueue: string): string {
  const granting = new Set(mayGrant.split(' '))
  return mayQueue
    .split(' ')
    .filter(node => granting.has(node))
    .join(' ')
}
