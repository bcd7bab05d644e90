/** Calls `listener` when `signal` aborts (at once if it has). The returned function removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return noop
  if (signal.aborted) {
    listener(signal.reason)
    return noop
  }
  const run = (): void => listener(signal.reason)
  const audience = audiences.get(signal) ?? new Audience(signal)
  audience.add(run)
  return () => audience.remove(run)
}

function noop(): void {}

const audiences = new WeakMap<AbortSignal, Audience>()

/** Those who listen to a signal, with one listener for all: a service has one signal for its end, and Node warns of the eleventh. */
class Audience {
  readonly #signal: AbortSignal
  readonly #runs = new Set<() => void>()
  readonly #hear = (): void => {
    for (const run of this.#runs) run()
    this.#leave()
  }

  constructor(signal: AbortSignal) {
    this.#signal = signal
    audiences.set(signal, this)
    signal.addEventListener('abort', this.#hear, { once: true })
  }

  add(run: () => void): void {
    this.#runs.add(run)
  }

  remove(run: () => void): void {
    if (this.#runs.delete(run) && this.#runs.size === 0) this.#leave()
  }

  #leave(): void {
    audiences.delete(this.#signal)
    this.#signal.removeEventListener('abort', this.#hear)
  }
}

/** Settles as `work` does, or rejects with the signal's reason, whichever comes first. The work itself goes on. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise<T>((resolve, reject) => {
    const stop = onAbort(signal, reject)
    work.then(resolve, reject).finally(stop)
  })
}
