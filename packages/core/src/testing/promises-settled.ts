// Kept at load, so that a test runner's fake timers cannot take it away.
const inNextTurn = globalThis.setImmediate

/** Resolves once every promise that can settle has: a turn of the event loop comes after every microtask, however long their chain is. */
export function promisesSettled(): Promise<void> {
  return new Promise(resolve => void inNextTurn(resolve))
}
