import { onAbort } from '../abort.ts'
import type { LeaseRequest } from '../ports/leases.ts'
import type { AcquireOutcome, WaitingCommands } from './waiting.ts'

/** A question that may not queue, on its way: it is answered, aborted, or ended by closing. Methods, not closures: it is in each use. */
export class Asking {
  readonly #request: LeaseRequest
  readonly #asked: Promise<AcquireOutcome>
  readonly #settle: { readonly resolve: (outcome: AcquireOutcome) => void; readonly reject: (error: unknown) => void }
  #commands: WaitingCommands | undefined
  #all: Set<Asking> | undefined
  #stopListening: (() => void) | undefined

  constructor(
    request: LeaseRequest,
    asked: Promise<AcquireOutcome>,
    settle: { readonly resolve: (outcome: AcquireOutcome) => void; readonly reject: (error: unknown) => void },
  ) {
    this.#request = request
    this.#asked = asked
    this.#settle = settle
  }

  /** `all` are those that are on their way. */
  follow(commands: WaitingCommands, all: Set<Asking>, signal: AbortSignal | undefined): void {
    this.#commands = commands
    this.#all = all
    all.add(this)
    if (signal !== undefined) this.#stopListening = onAbort(signal, reason => this.giveUp(reason))
    this.#asked.then(
      outcome => {
        if (this.#end()) this.#settle.resolve(outcome)
      },
      (error: unknown) => this.giveUp(error),
    )
  }

  /** Takes back what was asked for. */
  giveUp(reason: unknown): void {
    if (!this.#end()) return
    this.#commands?.takeBack(this.#request, this.#asked)
    this.#settle.reject(reason)
  }

  #end(): boolean {
    this.#stopListening?.()
    return this.#all?.delete(this) ?? false
  }
}
