/** Somebody who waits in line. */
export interface InLine {
  /** It is the first now: asks when it is time to. */
  keepTime(): void
  /** Asks now. */
  ask(): void
}

/**
 * Those of this client who wait, by resource and in order. Only the first of a line keeps time and asks the server now and then: it
 * is told what has become of all, and that way waiting costs a request a client, not a request a waiter.
 */
export class Lines {
  readonly #lines = new Map<string, Set<InLine>>()

  join(resource: string, waiter: InLine): void {
    const line = this.#lines.get(resource)
    if (line === undefined) this.#lines.set(resource, new Set([waiter]))
    else line.add(waiter)
  }

  isFirst(resource: string, waiter: InLine): boolean {
    const [first] = this.#lines.get(resource) ?? []
    return first === waiter
  }

  /** When it was the first, the next one keeps time. */
  leave(resource: string, waiter: InLine): void {
    const wasFirst = this.isFirst(resource, waiter)
    const line = this.#lines.get(resource)
    line?.delete(waiter)
    if (line?.size === 0) this.#lines.delete(resource)
    if (!wasFirst) return
    const [next] = line ?? []
    next?.keepTime()
  }

  /** The server has forgotten the line, or may have: the others ask as well. */
  askBehind(resource: string, waiter: InLine): void {
    for (const other of [...(this.#lines.get(resource) ?? [])]) {
      if (other !== waiter) other.ask()
    }
  }
}
