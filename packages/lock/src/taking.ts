import type { Backend, Guard, Lease } from '@holdfast/core'
import { ClockDeadline, WaitTimeoutError, momentOf, onAbort } from '@holdfast/core'
import type { UsingOptions } from './lockable.ts'
import { waitedInVain } from './waited-in-vain.ts'

const NEST = 'If it is the caller who holds it: `using` with `reentrant: true` nests in what `using` took with it.'

interface TakingOptions extends UsingOptions {
  readonly guards?: Readonly<Record<string, Guard>>
}

/** Many locks being taken one after the other: one deadline for all, and an end to the waiting when one that was taken is lost. */
export class Taking {
  readonly #backend: Backend
  readonly #options: TakingOptions
  readonly #deadline: ClockDeadline | undefined
  readonly #abort = new AbortController()
  readonly #stops: (() => void)[] = []

  constructor(backend: Backend, options: TakingOptions) {
    const { clock } = backend
    this.#backend = backend
    this.#options = options
    if (options.waitMs !== undefined) this.#deadline = new ClockDeadline(clock, momentOf(clock), options.waitMs)
    this.#stops.push(onAbort(options.signal, reason => this.#abort.abort(reason)))
  }

  /** For the next of them. */
  optionsFor(name: string): UsingOptions {
    const { guards, ...options } = this.#options
    const guard = guards !== undefined && Object.hasOwn(guards, name) ? guards[name] : undefined
    return {
      ...options,
      signal: this.#abort.signal,
      ...(guard === undefined ? {} : { guard }),
      ...(this.#deadline === undefined ? {} : { waitMs: Math.max(0, Math.ceil(this.#deadline.remainingMs())) }),
    }
  }

  took(lease: Lease): void {
    this.#stops.push(onAbort(lease.signal, reason => this.#abort.abort(reason)))
  }

  /** A wait that was too long was so for all of them. */
  ofAll(error: unknown): unknown {
    if (!(error instanceof WaitTimeoutError)) return error
    const { waitMs = 0 } = this.#options
    return waitedInVain(this.#backend, { resource: error.resource, waitMs }, NEST)
  }

  end(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }
}
