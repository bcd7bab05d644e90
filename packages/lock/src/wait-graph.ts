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
  isHolder = false
  isOver = false

  constructor(claim: Claim, outer: WaitTask | undefined) {
    this.claim = claim
    this.outer = outer
  }

  /** Whether it is this one, or runs inside of it. */
  isIn(other: WaitTask): boolean {
    if (this === other) return true
    for (let around = this.outer; around !== undefined; around = around.outer) if (around === other) return true
    return false
  }
}

/**
 * Who waits for whom, among those that it was told of. A cycle can only close when one begins to wait: who is granted a lock waits
 * for nothing. Who waits inside of nothing closes none, however many wait.
 *
 * @see Holt, Some deadlock properties of computer systems (1972): with one unit of each resource, a cycle is a deadlock
 */
export class WaitGraph {
  // Those of them that wait inside of another.
  readonly #waiting = new Set<WaitTask>()
  // How many hold a lock.
  readonly #holders = new Map<string, number>()

  /** One who begins to wait, inside of another or of none. */
  wait(claim: Claim, outer: WaitTask | undefined): WaitTask {
    // Code that was started by one who is done since runs in what was around him: else a chain of such would be kept for ever.
    let around = outer
    while (around?.isOver === true) around = around.outer
    const task = new WaitTask(claim, around)
    if (around !== undefined) this.#waiting.add(task)
    return task
  }

  granted(task: WaitTask): void {
    if (task.isHolder || task.isOver) return
    task.isHolder = true
    this.#waiting.delete(task)
    const { key } = task.claim
    this.#holders.set(key, (this.#holders.get(key) ?? 0) + 1)
  }

  /** It waits no more, and holds no more. */
  end(task: WaitTask): void {
    if (task.isOver) return
    task.isOver = true
    this.#waiting.delete(task)
    if (!task.isHolder) return
    const { key } = task.claim
    const left = (this.#holders.get(key) ?? 0) - 1
    if (left > 0) this.#holders.set(key, left)
    else this.#holders.delete(key)
  }

  /**
   * The locks of a shortest cycle that `task` closes by waiting, or undefined: each is held by one who waits for the next, and the last
   * by one who waits for the first, which is held around `task`.
   */
  cycleOf(task: WaitTask): readonly string[] | undefined {
    if (task.outer === undefined || !this.#holders.has(task.claim.key)) return undefined
    const waitingIn = this.#waitingIn()
    const before = new Map<WaitTask, WaitTask | undefined>([[task, undefined]])
    for (const from of before.keys()) {
      if (isAround(task, from.claim)) return namesTo(from, before)
      for (const next of waitingIn.get(from.claim.key) ?? []) {
        if (!before.has(next) && isAround(next, from.claim)) before.set(next, from)
      }
    }
    return undefined
  }

  /** Who waits, by each lock that is held around him. */
  #waitingIn(): ReadonlyMap<string, ReadonlySet<WaitTask>> {
    const waitingIn = new Map<string, Set<WaitTask>>()
    for (const task of this.#waiting) {
      for (let holder = task.outer; holder !== undefined; holder = holder.outer) {
        const inside = waitingIn.get(holder.claim.key)
        if (inside === undefined) waitingIn.set(holder.claim.key, new Set([task]))
        else inside.add(task)
      }
    }
    return waitingIn
  }
}

/** Whether it wants for itself alone what is held around it beside others, as a reader that asks to write. */
export function isUpgrade({ claim, outer }: WaitTask): boolean {
  if (claim.isShared) return false
  for (let holder = outer; holder !== undefined; holder = holder.outer) {
    if (!holder.isOver && holder.claim.key === claim.key && holder.claim.isShared) return true
  }
  return false
}

/** Whether somebody around `task` holds what keeps `claim` waiting. */
function isAround(task: WaitTask, claim: Claim): boolean {
  for (let holder = task.outer; holder !== undefined; holder = holder.outer) {
    const isBeside = claim.isShared && holder.claim.isShared
    if (!holder.isOver && holder.claim.key === claim.key && !isBeside) return true
  }
  return false
}

// What `last` waits for is held around the first.
function namesTo(last: WaitTask, before: ReadonlyMap<WaitTask, WaitTask | undefined>): readonly string[] {
  const names: string[] = []
  for (let task = before.get(last); task !== undefined; task = before.get(task)) names.unshift(task.claim.key)
  return [last.claim.key, ...names]
}
