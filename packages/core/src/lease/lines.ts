/** Somebody who waits in line. */
export interface InLine {
  /** It is the first now: asks when it is time to. */
  keepTime(): void
  /** Asks now. */
  ask(): void
}

/**
 * Those of this client who wait, by the lock that they wait for and in order. Only the first of a line keeps time and asks the server
 * now and then: it is told what has become of all, and that way waiting costs a request a client, not a request a waiter.
 */
export class Lines {
  readonly #lines = new Map<string, Set<InLine>>()

  join(lock: string, waiter: InLine): void {
    const line = this.#lines.get(lock)
    if (line === undefined) this.#lines.set(lock, new Set([waiter]))
    else line.add(waiter)
  }

  isFirst(lock: string, waiter: InLine): boolean {
    const [first] = this.#lines.get(lock) ?? []
    return first === waiter
  }

  /** When it was the first, the next one keeps time. */
  leave(lock: string, waiter: InLine): void {
    const wasFirst = this.isFirst(lock, waiter)
    const line = this.#lines.get(lock)
    line?.delete(waiter)
    if (line?.size === 0) this.#lines.delete(lock)
    if (!wasFirst) return
    const [next] = line ?? []
    next?.keepTime()
  }

  /** The server has forgotten the line, or may have: the others ask as well. */
  askBehind(lock: string, waiter: InLine): void {
    for (const other of [...(this.#lines.get(lock) ?? [])]) {
      if (other !== waiter) other.ask()
    }
  }
}
