import type { Backend } from '../backend.ts'
import { ClosedError } from '../errors.ts'

interface Closing {
  readonly listeners: Set<() => void>
  hasBegun: boolean
}

const closings = new WeakMap<Backend, Closing>()

/**
 * Calls `listener` when the backend begins to close. The returned function removes it.
 *
 * @throws {ClosedError} `HF_CLOSED` when that has begun
 */
export function onClosing(backend: Backend, listener: () => void): () => void {
  const { listeners, hasBegun } = closings.get(backend) ?? follow(backend)
  if (hasBegun) throw new ClosedError(`${backend.kind} backend`)
  listeners.add(listener)
  return () => listeners.delete(listener)
}

// A backend forgets no hook, so all who wait share one.
function follow(backend: Backend): Closing {
  const closing: Closing = { listeners: new Set(), hasBegun: false }
  backend.onClose(async () => {
    closing.hasBegun = true
    for (const listener of [...closing.listeners]) listener()
  })
  closings.set(backend, closing)
  return closing
}
