import type { Subscription } from '@holdfast/core'
import type { Participant } from '../client/config.ts'

/** A participant, and the namespace whose changes it takes part in. */
export interface Enlisted {
  readonly namespace: string
  readonly participant: Participant<unknown>
}

/** Who takes part in each apply, in the order of registration. */
export class Participants {
  #enlisted: readonly Enlisted[] = []

  add(enlisted: Enlisted): Subscription {
    this.#enlisted = [...this.#enlisted, enlisted]
    const close = (): void => {
      this.#enlisted = this.#enlisted.filter(other => other !== enlisted)
    }
    return { close, [Symbol.dispose]: close }
  }

  of(namespaces: ReadonlySet<string>): readonly Enlisted[] {
    return this.#enlisted.filter(({ namespace }) => namespaces.has(namespace))
  }
}
