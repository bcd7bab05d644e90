import { AsyncLocalStorage } from 'node:async_hooks'
import type { Backend, Lease, LeaseKind } from '@holdfast/core'
import { kindOf } from '@holdfast/core'
import type { Scope } from './scope.ts'
import { rootWishOf, scopeOf } from './scope.ts'

/** A re-entrant lock that the running code is inside of, and those around it. */
interface Frame {
  readonly backend: Backend
  readonly scope: Scope
  readonly outer: Frame | undefined
}

// Only ever entered by `run`: `enterWith` would leak into sibling tasks.
const frames = new AsyncLocalStorage<Frame>()

/** The innermost scope of this lock that the running code was started in, ended or not. */
export function currentScope(backend: Backend, name: string, kind: LeaseKind = 'exclusive'): Scope | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.backend !== backend) continue
    const wish = rootWishOf(frame.scope.lease)
    if (wish?.resource === name && kindOf(wish.mode) === kind) return frame.scope
  }
  return undefined
}

/** Runs `work` inside the scope of a lease, and ends the scope with it. */
export async function runInScope<T>(
  backend: Backend,
  lease: Lease,
  work: (lease: Lease) => T | Promise<T>,
): Promise<T> {
  const scope = scopeOf(lease)
  try {
    return await frames.run({ backend, scope, outer: frames.getStore() }, work, lease)
  } finally {
    scope.end()
  }
}
