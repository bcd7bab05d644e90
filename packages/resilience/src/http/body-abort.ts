import { onAbort } from '@holdfast/core'

// A controller lives as long as the body that it ends; a caller's signal, which may live as long as the process, holds neither.
const controllers = new WeakMap<ReadableStream, AbortController>()
const unread = new FinalizationRegistry<() => void>(stop => stop())

/** Ends the body of a response when its caller aborts, also after the call has settled; until the body is gone. */
export function holdUntilRead({ body }: Response, caller: AbortSignal, controller: AbortController): void {
  if (body === null) return
  controllers.set(body, controller)
  const reference = new WeakRef(controller)
  unread.register(
    body,
    onAbort(caller, reason => reference.deref()?.abort(reason)),
  )
}
