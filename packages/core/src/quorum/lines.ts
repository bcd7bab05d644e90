/** Somebody of this client who waits. */
export interface InLine {
  /** It is the first now, or somebody of this client has just released: asks. */
  ask(): void
  /** The servers said that others are before it. */
  tellQueued(): void
  /** Too few servers could serve. */
  tellFailure(error: unknown): void
}

interface Line {
  readonly waiting: Set<InLine>
  /** Whether the servers said that others hold it. */
  isHeld: boolean
}

/**
 * Those of this client who wait, by resource and in order. Only the first of a line asks the servers: waiting costs a question for each
 * client and not for each waiter, and they do not split the votes among themselves.
 */
export class WaitingLines {
  readonly #lines = new Map<string, Line>()

  join(resource: string, waiter: InLine): void {
    const line = this.#lines.get(resource)
    if (line === undefined) {
      this.#lines.set(resource, { waiting: new Set([waiter]), isHeld: false })
      return
    }
    line.waiting.add(waiter)
    if (line.isHeld) waiter.tellQueued()
  }

  isFirst(resource: string, waiter: InLine): boolean {
    return this.#first(resource) === waiter
  }

  /** When it was the first, the next one asks. */
  leave(resource: string, waiter: InLine): void {
    const wasFirst = this.isFirst(resource, waiter)
    const line = this.#lines.get(resource)
    line?.waiting.delete(waiter)
    if (line?.waiting.size === 0) this.#lines.delete(resource)
    if (wasFirst) this.wakeFirst(resource)
  }

  /** The resource may be free. */
  wakeFirst(resource: string): void {
    this.#first(resource)?.ask()
  }

  #first(resource: string): InLine | undefined {
    return this.#lines.get(resource)?.waiting.values().next().value
  }

  /** Others hold it, or try to. */
  noteHeld(resource: string): void {
    const line = this.#lines.get(resource)
    if (line === undefined) return
    line.isHeld = true
    for (const waiter of [...line.waiting]) waiter.tellQueued()
  }

  /** Too few servers could serve. */
  noteFailure(resource: string, error: unknown): void {
    const waiting = [...(this.#lines.get(resource)?.waiting ?? [])]
    // The first comes last: when it leaves, the next one asks, who may be about to leave as well.
    for (const waiter of waiting.reverse()) waiter.tellFailure(error)
  }
}
