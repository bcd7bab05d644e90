/** Things that happened, to be looked at one by one outside of the events that told of them. */
export class Inbox<T> {
  readonly #items: T[] = []
  #wake: () => void = () => {}

  put(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  /** The next one; undefined once the signal has aborted. */
  async next(signal: AbortSignal): Promise<T | undefined> {
    const wake = (): void => this.#wake()
    signal.addEventListener('abort', wake)
    try {
      while (!signal.aborted && this.#items.length === 0) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
      return signal.aborted ? undefined : this.#items.shift()
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }
}
