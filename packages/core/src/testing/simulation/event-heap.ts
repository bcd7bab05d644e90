/** What an `EventHeap` goes by. */
export interface TimedEvent {
  readonly atMs: number
  /** Among events of one time, the lower goes first. */
  readonly order: number
}

/** Events by their time, and those of one time in their order, for a clock of one's own: a binary heap. */
export class EventHeap<Event extends TimedEvent> {
  readonly #events: Event[] = []

  /** The next one, which stays in. */
  get first(): Event | undefined {
    return this.#events[0]
  }

  push(event: Event): void {
    const events = this.#events
    let index = events.length
    events.push(event)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = events[above] as Event
      if (!isBefore(event, parent)) break
      events[index] = parent
      index = above
    }
    events[index] = event
  }

  /** Takes the next one out. */
  pop(): Event | undefined {
    const [first] = this.#events
    const last = this.#events.pop()
    if (first !== undefined && last !== undefined && first !== last) this.#sink(last)
    return first
  }

  #sink(event: Event): void {
    const events = this.#events
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      let child = events[below]
      if (child === undefined) break
      const right = events[below + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        below += 1
      }
      if (!isBefore(child, event)) break
      events[index] = child
      index = below
    }
    events[index] = event
  }
}

function isBefore(one: TimedEvent, other: TimedEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
