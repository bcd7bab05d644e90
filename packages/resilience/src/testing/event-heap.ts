import type { Timer } from '@holdfast/core'

/** Something that happens at a time. */
export interface VirtualEvent extends Timer {
  readonly atMs: number
  /** Among events of one time, the earlier set comes first. */
  readonly order: number
  readonly run: () => void
  isCancelled: boolean
}

/** Events by their time: a binary heap. */
export class EventHeap {
  readonly #events: VirtualEvent[] = []

  /** How many there are, those included that were cancelled and whose time has not come. */
  get size(): number {
    return this.#events.length
  }

  get first(): VirtualEvent | undefined {
    return this.#events[0]
  }

  push(event: VirtualEvent): void {
    const events = this.#events
    let index = events.length
    events.push(event)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = events[above] as VirtualEvent
      if (!isBefore(event, parent)) break
      events[index] = parent
      index = above
    }
    events[index] = event
  }

  pop(): VirtualEvent | undefined {
    const [first] = this.#events
    const last = this.#events.pop()
    if (first !== undefined && last !== undefined && first !== last) this.#sink(last)
    return first
  }

  #sink(event: VirtualEvent): void {
    const events = this.#events
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      const left = events[below]
      if (left === undefined) break
      const right = events[below + 1]
      let child = left
      if (right !== undefined && isBefore(right, left)) {
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

function isBefore(one: VirtualEvent, other: VirtualEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
