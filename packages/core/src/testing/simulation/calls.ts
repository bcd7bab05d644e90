import { UnavailableError } from '../../errors.ts'
import type { Machine } from './machine.ts'
import type { Network } from './network.ts'

/** A server in the simulated network. */
export interface SimulatedServer {
  readonly name: string
  readonly isUp: boolean
}

/** How long a call waits for its answer. */
export const CALL_TIMEOUT_MS = 1_000

/**
 * Asks servers, by messages: the request, and the answer. What does not come in time rejects with `UnavailableError`; whether the
 * server heard of it is not known then.
 */
export class Calls {
  readonly #network: Network
  readonly #machine: Machine
  readonly #onTimeout: (server: string) => void

  constructor(network: Network, machine: Machine, onTimeout: (server: string) => void = () => {}) {
    this.#network = network
    this.#machine = machine
    this.#onTimeout = onTimeout
  }

  /** `work` is what the server does; it may run twice, or never, or after the caller has given up. */
  ask<T>(server: SimulatedServer, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { clock, name } = this.#machine
      const timer = clock.setTimer(() => {
        this.#onTimeout(server.name)
        reject(new UnavailableError(`${server.name} did not answer ${name} within ${CALL_TIMEOUT_MS} ms.`))
      }, CALL_TIMEOUT_MS)
      const answer = (settle: () => void): void => {
        this.#network.send(server.name, name, () =>
          this.#machine.deliver(() => {
            timer.cancel()
            settle()
          }),
        )
      }
      this.#network.send(name, server.name, () => {
        if (!server.isUp) return
        try {
          const value = work()
          answer(() => resolve(value))
        } catch (error) {
          answer(() => reject(error))
        }
      })
    })
  }
}
