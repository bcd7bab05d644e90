/** Calls `listener` when `signal` aborts (at once if it has). The returned function removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return noop
  if (signal.aborted) {
    listener(signal.reason)
    return noop
  }
  const run = (): void => listener(signal.reason)
  signal.addEventListener('abort', run, { once: true })
  return () => signal.removeEventListener('abort', run)
}

function noop(): void {}

/** Settles as `work` does, or rejects with the signal's reason, whichever comes first. The work itself goes on. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise<T>((resolve, reject) => {
    const stop = onAbort(signal, reject)
    work.then(resolve, reject).finally(stop)
  })
}
