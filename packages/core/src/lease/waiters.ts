import { onAbort, orAborted } from '../abort.ts'
import type { Clock } from '../clock.ts'
import type { Grant, LeaseRequest, TryGrantOutcome } from '../ports/leases.ts'
import { Asking } from './asking.ts'
import { Lines } from './lines.ts'
import { Waiter } from './waiter.ts'
import type { AcquireOutcome, WaitingCommands, WaitingInbox } from './waiting.ts'

/** What those who ask and wait work with. */
export interface WaitersSettings {
  readonly clock: Clock
  readonly commands: WaitingCommands
  readonly inbox: WaitingInbox
  /** Whether the inbox is open. */
  readonly isListening: () => boolean
  /** Opens the inbox; settles once whoever waits may count on it. */
  readonly listen: () => Promise<void>
  /** Throws once the store is closed. */
  readonly checkOpen: () => void
}

/** A request that may wait. */
interface Wish {
  readonly request: LeaseRequest
  readonly signal: AbortSignal | undefined
  readonly queued: (() => void) | undefined
}

/** Those of a client who ask a store with a queue for leases, and wait there. */
export class Waiters {
  readonly #settings: WaitersSettings
  readonly #asking = new Set<Asking>()
  readonly #waiting = new Set<Waiter>()
  readonly #lines = new Lines()

  constructor(settings: WaitersSettings) {
    this.#settings = settings
  }

  /** As `LeaseStore.tryGrant`. */
  async tryGrant(request: LeaseRequest, signal: AbortSignal | undefined): Promise<TryGrantOutcome> {
    const outcome = await this.#ask(request, signal)
    return outcome.kind === 'granted' ? outcome : { kind: 'held' }
  }

  /** As `LeaseStore.grant`. */
  grant(request: LeaseRequest, signal: AbortSignal | undefined, queued: (() => void) | undefined): Promise<Grant> {
    const wish = { request, signal, queued }
    return this.#settings.isListening() ? this.#wait(wish) : this.#grantOrListen(wish)
  }

  /** Rejects everybody, and takes back what they asked for. */
  close(error: () => Error): void {
    for (const asking of [...this.#asking]) asking.giveUp(error())
    for (const waiter of [...this.#waiting]) waiter.giveUp(error())
  }

  // Who listens already asks for a place in the queue at once; the first time, that would be a connection too many for a
  // resource that is most often free.
  async #grantOrListen(wish: Wish): Promise<Grant> {
    const outcome = await this.#ask(wish.request, wish.signal)
    if (outcome.kind === 'granted') return outcome.grant
    wish.queued?.()
    await orAborted(this.#settings.listen(), wish.signal)
    return await this.#wait(wish)
  }

  #ask(request: LeaseRequest, signal: AbortSignal | undefined): Promise<AcquireOutcome> {
    const { commands, checkOpen } = this.#settings
    checkOpen()
    signal?.throwIfAborted()
    const asked = commands.acquire(request, { mayQueue: false })
    return new Promise((resolve, reject) => {
      const asking = new Asking(request, asked, { resolve, reject })
      asking.follow(commands, this.#asking, signal)
    })
  }

  #wait({ request, signal, queued = () => {} }: Wish): Promise<Grant> {
    return new Promise<Grant>((resolve, reject) => {
      this.#settings.checkOpen()
      signal?.throwIfAborted()
      const over = (): void => {
        this.#waiting.delete(waiter)
        stopListening()
      }
      const waiter = new Waiter(
        request,
        { ...this.#settings, lines: this.#lines },
        {
          queued,
          resolve: grant => {
            over()
            resolve(grant)
          },
          reject: error => {
            over()
            reject(error)
          },
        },
      )
      this.#waiting.add(waiter)
      const stopListening = onAbort(signal, reason => waiter.giveUp(reason))
      waiter.ask()
    })
  }
}
