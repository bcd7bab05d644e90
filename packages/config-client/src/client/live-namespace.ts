import type { Live, LiveListener, SubscribeOptions, Subscription } from '@holdfast/core'
import { onAbort, reportListenerError, reportListenerRejection } from '@holdfast/core'

class Listening<T> implements Subscription {
  readonly #listener: LiveListener<T>
  readonly #leave: (listening: Listening<T>) => void
  #seen: T
  #isOpen = true
  #stopListening: () => void = () => {}

  constructor(listener: LiveListener<T>, seen: T, leave: (listening: Listening<T>) => void) {
    this.#listener = listener
    this.#seen = seen
    this.#leave = leave
  }

  closeWith(signal: AbortSignal | undefined): void {
    this.#stopListening = onAbort(signal, () => this.close())
  }

  hear(next: T): void {
    if (!this.#isOpen || Object.is(next, this.#seen)) return
    const previous = this.#seen
    this.#seen = next
    this.tell(next, previous)
  }

  tell(next: T, previous: T): void {
    try {
      reportListenerRejection('config', this.#listener(next, previous))
    } catch (error) {
      reportListenerError('config', error)
    }
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#stopListening()
    this.#leave(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * A namespace as it changes. Unlike core's `LiveValue` it changes in two steps: `current` of all namespaces first, so that a
 * listener of one sees the others as they are of the same release; then `tell`. And `current` is a plain property, because it is
 * read in hot loops.
 */
export class LiveNamespace<T> implements Live<T> {
  current: T
  #listening: readonly Listening<T>[] = []
  #isClosed = false

  constructor(initial: T) {
    this.current = initial
  }

  /** Tells each listener that has not seen `current` yet. */
  tell(): void {
    const { current } = this
    for (const listening of this.#listening) listening.hear(current)
  }

  subscribe(listener: LiveListener<T>, { signal, initial }: SubscribeOptions = {}): Subscription {
    const listening = new Listening(listener, this.current, left => {
      this.#listening = this.#listening.filter(other => other !== left)
    })
    if (this.#isClosed) listening.close()
    else this.#listening = [...this.#listening, listening]
    listening.closeWith(signal)
    if (initial === true && signal?.aborted !== true) listening.tell(this.current, this.current)
    return listening
  }

  close(): void {
    this.#isClosed = true
    for (const listening of this.#listening) listening.close()
  }
}
