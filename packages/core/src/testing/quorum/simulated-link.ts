import { UnavailableError } from '../../errors.ts'
import type { LeaseHolder } from '../../ports/leases.ts'
import type { Ballot, QuorumNode, VoteAnswer, VoteRef } from '../../quorum/node.ts'
import type { Random } from '../../random.ts'
import type { SimulatedClock } from '../simulated-clock.ts'
import type { ServerModel } from './server-model.ts'
import type { SimulatedMachine } from './simulated-machine.ts'

/** What a link loses and delays. */
export interface LinkSettings {
  readonly world: SimulatedClock
  readonly random: Random
  readonly machine: SimulatedMachine
  readonly server: ServerModel
  /** Whether messages get to the server and back now: it is up, and nothing has cut them apart. */
  readonly isOpen: () => boolean
  readonly commandTimeoutMs: number
}

const SLOW_RATIO = 0.04
const LOST_RATIO = 0.02
const TWICE_RATIO = 0.03

/** One client's way to one server: messages are delayed, overtake each other, get lost, and come twice. */
export class SimulatedLink implements QuorumNode {
  readonly name: string
  readonly #settings: LinkSettings

  constructor(settings: LinkSettings) {
    this.name = settings.server.name
    this.#settings = settings
  }

  vote(ballot: Ballot): Promise<VoteAnswer> {
    return this.#ask(server => server.vote(ballot))
  }

  raise(vote: VoteRef, token: string): Promise<boolean> {
    return this.#ask(server => server.raise(vote, token))
  }

  renew(vote: VoteRef, ttlMs: number): Promise<boolean> {
    return this.#ask(server => server.renew(vote, ttlMs))
  }

  withdraw(vote: VoteRef): Promise<boolean> {
    return this.#ask(server => server.withdraw(vote))
  }

  inspect(resource: string): Promise<LeaseHolder | undefined> {
    return this.#ask(server => server.inspect(resource))
  }

  #ask<T>(work: (server: ServerModel) => T): Promise<T> {
    const { random, machine, server, commandTimeoutMs } = this.#settings
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new UnavailableError(`${this.name} did not answer within ${commandTimeoutMs} ms.`))
      const timer = machine.setTimer(late, commandTimeoutMs)
      this.#carry(() => {
        const answer = work(server)
        this.#carry(() =>
          machine.receive(() => {
            timer.cancel()
            resolve(answer)
          }),
        )
      })
      if (random.next() < TWICE_RATIO) this.#carry(() => void work(server))
    })
  }

  #carry(arrive: () => void): void {
    const { world, random, isOpen } = this.#settings
    const isLost = random.next() < LOST_RATIO
    const isSlow = random.next() < SLOW_RATIO
    const delayMs = 0.1 + random.next() * (isSlow ? 400 : 2)
    if (!isLost) world.setTimer(() => void (isOpen() && arrive()), delayMs)
  }
}
