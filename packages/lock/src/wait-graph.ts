/** What one has, or wants. */
export interface Claim {
  /** Which lock. */
  readonly key: string
  /** Whether others that are shared may have it too. */
  readonly isShared: boolean
}

/** Somebody who wants a lock, or has it, inside of another who cannot give back his before this one is done. */
export class WaitTask {
  readonly claim: Claim
  readonly outer: WaitTask | undefined
  isOver = false

  constructor(claim: Claim, outer: WaitTask | undefined) {
    this.claim = claim
    this.outer = outer
  }

  /** Whether it is this one, or runs inside of it. */
  isIn(other: WaitTask): boolean {
    return this === other || (this.outer?.isIn(other) ?? false)
  }
}

/**
 * Who waits for whom, among those that it was told of. A cycle can only close when one begins to wait: who is granted a lock waits
 * for nothing.
 *
 * @see Holt, Some deadlock properties of computer systems (1972): with one unit of each resource, a cycle is a deadlock
 */
export class WaitGraph {
  readonly #waiting = new Set<WaitTask>()
  readonly #holders = new Map<string, Set<WaitTask>>()

  /** One who begins to wait, inside of another or of none. */
  wait(claim: Claim, outer: WaitTask | undefined): WaitTask {
    // Code that was started by one who is done since runs in what was around him: else a chain of such would be kept for ever.
    let around = outer
    while (around?.isOver === true) around = around.outer
    const task = new WaitTask(claim, around)
    this.#waiting.add(task)
    return task
  }

  granted(task: WaitTask): void {
    if (!this.#waiting.delete(task)) return
    const holders = this.#holders.get(task.claim.key)
    if (holders === undefined) this.#holders.set(task.claim.key, new Set([task]))
    else holders.add(task)
  }

  /** It waits no more, and holds no more. */
  end(task: WaitTask): void {
    task.isOver = true
    this.#waiting.delete(task)
    const { key } = task.claim
    const holders = this.#holders.get(key)
    holders?.delete(task)
    if (holders?.size === 0) this.#holders.delete(key)
  }

  /**
   * The locks of a cycle that `task` closes by waiting, or undefined: each is held by one who waits for the next, and the last by
   * one who waits for the first, which is held around `task`.
   */
  cycleOf(task: WaitTask): readonly string[] | undefined {
    const path = this.#pathBack(task, task, new Set([task]))
    return path === undefined ? undefined : [...path.slice(-1), ...path.slice(0, -1)]
  }

  // The locks from what `from` waits for to one that is held around `task`.
  #pathBack(from: WaitTask, task: WaitTask, seen: Set<WaitTask>): readonly string[] | undefined {
    const { key, isShared } = from.claim
    for (const holder of this.#holders.get(key) ?? []) {
      if (isShared && holder.claim.isShared) continue
      if (task.isIn(holder)) return [key]
      for (const next of this.#waiting) {
        if (seen.has(next) || !next.isIn(holder)) continue
        seen.add(next)
        const path = this.#pathBack(next, task, seen)
        if (path !== undefined) return [key, ...path]
      }
    }
    return undefined
  }
}
