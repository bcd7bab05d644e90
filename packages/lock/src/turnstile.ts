import { onAbort } from '@holdfast/core'

interface Waiter {
  readonly enter: () => void
  readonly refuse: (reason: unknown) => void
}

/** Lets one at a time through, in order of arrival, inside one process. */
export class Turnstile {
  readonly #waiters = new Set<Waiter>()
  #isTaken = false

  /** True when it was free and is now the caller's. */
  tryEnter(): boolean {
    if (this.#isTaken) return false
    this.#isTaken = true
    return true
  }

  /** Rejects with the signal's reason, or with what `refuseAll` was given. */
  async enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.tryEnter()) return
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        enter: () => {
          stop()
          resolve()
        },
        refuse: reason => {
          stop()
          this.#waiters.delete(waiter)
          reject(reason)
        },
      }
      this.#waiters.add(waiter)
      const stop = onAbort(signal, waiter.refuse)
    })
  }

  leave(): void {
    const [next] = this.#waiters
    if (next === undefined) {
      this.#isTaken = false
      return
    }
    this.#waiters.delete(next)
    next.enter()
  }

  refuseAll(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.refuse(reason)
  }
}
