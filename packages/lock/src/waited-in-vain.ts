import type { Backend } from '@holdfast/core'
import { WaitTimeoutError, keeperOf } from '@holdfast/core'

/** How long the caller waited for the mutex of which name. */
export interface VainWait {
  readonly resource: string
  readonly waitMs: number
}

/** Tells who was in the way; `hint` says what to do where this process itself was. Most often that is the caller, who does not see it. */
export function waitedInVain(backend: Backend, { resource, waitMs }: VainWait, hint: string): WaitTimeoutError {
  if (!keeperOf(backend).holds(resource, 'exclusive')) return new WaitTimeoutError(resource, waitMs)
  return waitedFor({ resource, waitMs }, 'held by this process itself', hint)
}

/** Tells what was so all the time: `"a" is ${how}`. */
export function waitedFor({ resource, waitMs }: VainWait, how: string, hint?: string): WaitTimeoutError {
  const said =
    waitMs === 0
      ? `"${resource}" is ${how}, and the caller did not want to wait.`
      : `"${resource}" was still ${how} after waiting ${waitMs} ms.`
  return new WaitTimeoutError(resource, waitMs, hint === undefined ? said : `${said} ${hint}`)
}
