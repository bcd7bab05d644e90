import type { InboxListener, WaitingInbox } from '../../lease/waiting.ts'
import type { Calls } from './calls.ts'
import type { LeaseServer } from './lease-server.ts'
import type { Notice } from './lease-table.ts'
import type { Machine } from './machine.ts'

const RETRY_MS = 200

/** Where the waiters of one simulated client hear of leases that are handed to them. */
export class SimulatedInbox implements WaitingInbox {
  readonly trustMs: number = Infinity
  readonly #server: LeaseServer
  readonly #machine: Machine
  readonly #calls: Calls
  readonly #listeners = new Map<string, InboxListener>()
  #opening: Promise<void> | undefined
  #isListening = false
  #isClosed = false
  #epoch = 0

  constructor(parts: { readonly server: LeaseServer; readonly machine: Machine; readonly calls: Calls }) {
    this.#server = parts.server
    this.#machine = parts.machine
    this.#calls = parts.calls
  }

  get isListening(): boolean {
    return this.#isListening
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Settles once the server delivers to it. */
  listen(): Promise<void> {
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  add(requestId: string, listener: InboxListener): void {
    this.#listeners.set(requestId, listener)
  }

  remove(requestId: string): void {
    this.#listeners.delete(requestId)
  }

  /** A connection that breaks says so here. */
  probe(): void {}

  close(): void {
    this.#isClosed = true
    this.#listeners.clear()
    this.#server.forget(this.#machine.name)
  }

  /** Messages may be lost from now on: it is opened anew. */
  broke(): void {
    if (this.#isClosed || this.#epoch === 0) return
    this.#isListening = false
    void this.listen()
  }

  async #open(): Promise<void> {
    const link = {
      machine: this.#machine.name,
      told: (notice: Notice) => this.#machine.deliver(() => this.#receive(notice)),
      broke: () => this.#machine.deliver(() => this.broke()),
    }
    while (!this.#isClosed) {
      const isOpen = await this.#calls
        .ask(this.#server, () => this.#server.listen(link))
        .then(
          () => true,
          () => false,
        )
      if (isOpen) break
      await new Promise<void>(resolve => this.#machine.clock.setTimer(resolve, RETRY_MS))
    }
    if (this.#isClosed) return this.#server.forget(this.#machine.name)
    this.#isListening = true
    this.#epoch += 1
    for (const listener of [...this.#listeners.values()]) listener.onGap()
  }

  #receive(notice: Notice): void {
    const listener = this.#listeners.get(notice.to)
    if (notice.kind === 'first') return listener?.onFirst(notice.remainingMs)
    const { token, slot, sinceUs } = notice.holding
    listener?.onHandOff({ token: String(token), slot, nowUs: sinceUs, spanMs: notice.spanMs })
  }
}
