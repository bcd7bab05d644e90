import type { HandOff, InboxListener } from '../lease/waiting.ts'

/** Those who listen for requests, and what they are told. A message is `id token nowUs spanMs`, of a permit with ` slot`, or `id remainingMs`. */
export class InboxListeners {
  readonly #listeners = new Map<string, InboxListener>()

  add(requestId: string, listener: InboxListener): void {
    this.#listeners.set(requestId, listener)
  }

  remove(requestId: string): void {
    this.#listeners.delete(requestId)
  }

  clear(): void {
    this.#listeners.clear()
  }

  /** `from` is whose time the message has, where there is more than one server. */
  receive(message: string, from?: string): void {
    const [id = '', first = '', nowUs, spanMs, slot] = message.split(' ')
    const listener = this.#listeners.get(id)
    if (listener === undefined) return
    if (nowUs === undefined) return listener.onFirst(Number(first))
    const handOff: HandOff = { token: first, nowUs: Number(nowUs), spanMs: Number(spanMs), from }
    listener.onHandOff(slot === undefined ? handOff : { ...handOff, slot: Number(slot) })
  }

  tellGap(): void {
    for (const listener of [...this.#listeners.values()]) listener.onGap()
  }
}
