import type { Subscription } from '@holdfast/core'
import type { Participant } from '../client/config.ts'

/** A participant, and the namespace whose changes it takes part in. */
export interface Enlisted {
  readonly namespace: string
  readonly participant: Participant<unknown>
  /** Its subscription was closed: it is not asked any more, also not by an apply that is under way. */
  readonly hasLeft: boolean
}

/** Who takes part in each apply, in the order of registration. */
export class Participants {
  #enlisted: readonly Enlisted[] = []

  add(namespace: string, participant: Participant<unknown>): Subscription {
    const enlisted = { namespace, participant, hasLeft: false }
    this.#enlisted = [...this.#enlisted, enlisted]
    const close = (): void => {
      enlisted.hasLeft = true
      this.#enlisted = this.#enlisted.filter(other => other !== enlisted)
    }
    return { close, [Symbol.dispose]: close }
  }

  of(namespaces: ReadonlySet<string>): readonly Enlisted[] {
    return this.#enlisted.filter(({ namespace }) => namespaces.has(namespace))
  }
}
