import type { AsyncLocalStorage } from 'node:async_hooks'
import { UnsupportedError } from '@holdfast/core'
import type { CallContext } from '../call.ts'

// Made when it is first asked for: before Node 24 it makes every await of the process slower.
let storage: AsyncLocalStorage<CallContext> | undefined

/** The storage of all calls with `context: true`. */
export function contextStorage(): AsyncLocalStorage<CallContext> {
  if (storage !== undefined) return storage
  const hooks = globalThis.process?.getBuiltinModule?.('node:async_hooks')
  if (hooks === undefined) throw new UnsupportedError('`context: true` needs AsyncLocalStorage of Node.')
  storage = new hooks.AsyncLocalStorage<CallContext>()
  return storage
}

/**
 * The call that this code runs in: of the innermost method around it that is `@resilient` with `context: true`.
 *
 * @returns undefined outside of such a call.
 */
export function currentContext(): CallContext | undefined {
  return storage?.getStore()
}
