/** Hears of a node; `isGone` is true when the server said that the node was deleted. */
export type NodeListener = (isGone: boolean) => void

/**
 * Who waits for a node to change or to go. A watch is told once, by the server; when the connection breaks, all are told, for the
 * server forgot them: whoever still waits looks again, and sets its watch by that.
 */
export class Watches {
  readonly #listeners = new Map<string, Set<NodeListener>>()

  /** How many nodes are watched. */
  get size(): number {
    return this.#listeners.size
  }

  /** Whether anybody waits for that node. */
  has(path: string): boolean {
    return this.#listeners.has(path)
  }

  add(path: string, listener: NodeListener): void {
    const listeners = this.#listeners.get(path)
    if (listeners === undefined) this.#listeners.set(path, new Set([listener]))
    else listeners.add(listener)
  }

  remove(path: string, listener: NodeListener): void {
    const listeners = this.#listeners.get(path)
    if (listeners?.delete(listener) === true && listeners.size === 0) this.#listeners.delete(path)
  }

  notify(path: string, isGone: boolean): void {
    const listeners = this.#listeners.get(path)
    if (listeners === undefined) return
    this.#listeners.delete(path)
    for (const listener of listeners) listener(isGone)
  }

  notifyAll(): void {
    for (const path of [...this.#listeners.keys()]) this.notify(path, false)
  }
}
