/** Something that happens at a time, unless it was cancelled before. */
export interface ScheduledEvent {
  readonly atMs: number
  /** Among events of one time, the earlier set comes first. */
  readonly order: number
  /** Undefined once cancelled. */
  run: (() => void) | undefined
}

/** Events by their time: a binary heap. */
export class EventHeap {
  readonly #events: ScheduledEvent[] = []

  get first(): ScheduledEvent | undefined {
    return this.#events[0]
  }

  push(event: ScheduledEvent): void {
    const events = this.#events
    let index = events.length
    events.push(event)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = events[above] as ScheduledEvent
      if (!isBefore(event, parent)) break
      events[index] = parent
      index = above
    }
    events[index] = event
  }

  pop(): ScheduledEvent | undefined {
    const [first] = this.#events
    const last = this.#events.pop()
    if (first !== undefined && last !== undefined && first !== last) this.#sink(last)
    return first
  }

  #sink(event: ScheduledEvent): void {
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

function isBefore(one: ScheduledEvent, other: ScheduledEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
