/** What a chain keeps in its members, so that one is in one chain at most. Nobody else touches it. */
export interface Chained<T> {
  previous?: T | undefined
  next?: T | undefined
}

/**
 * Members in the order in which they came, for those that come and go with every operation. A `Set` of them grows garbage that only a
 * full collection finds: V8 replaces its table every few additions, each table points to the one that came after it, and once the
 * first of them is old the young ones count as reachable, with all that was in them.
 */
export class Chain<T extends Chained<T>> {
  #first: T | undefined
  #last: T | undefined

  get first(): T | undefined {
    return this.#first
  }

  /** Adds one that is in no chain. */
  add(member: T): void {
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
  }

  /** Leaves nothing in the member that would keep others reachable. Without effect for one that is in no chain. */
  delete(member: T): void {
    const { previous, next } = member
    if (previous === undefined && this.#first !== member) return
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.previous = undefined
    member.next = undefined
  }

  /** All members, by now: what becomes of them meanwhile changes nothing. */
  members(): readonly T[] {
    const members: T[] = []
    for (let member = this.#first; member !== undefined; member = member.next) members.push(member)
    return members
  }
}
