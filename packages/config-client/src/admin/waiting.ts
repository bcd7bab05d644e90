/** Something that waits, and can be told to stop. */
export interface Waiter {
  close(): void
}

/** What an admin has waiting for instances: ends with it. */
export class Waiting {
  readonly #waiters = new Set<Waiter>()
  #isClosed = false

  /** Who comes too late is closed at once. */
  add(waiter: Waiter): void {
    if (this.#isClosed) waiter.close()
    else this.#waiters.add(waiter)
  }

  delete(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  close(): void {
    this.#isClosed = true
    for (const waiter of [...this.#waiters]) waiter.close()
  }
}
