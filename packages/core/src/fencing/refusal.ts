import { StaleTokenError } from '../errors.ts'
import { eventPoint } from '../telemetry.ts'
import type { Fenced } from './guard.ts'
import type { FencingToken } from './token.ts'

/** Which guard refused; `http` beside the guard that the middleware asked. */
export type GuardKind = 'memory' | 'redis' | 'zookeeper' | 'postgres' | 'http'

/** What `holdfast:fence.refused` carries. */
export interface StaleRefusal {
  readonly guard: GuardKind
  readonly resource: string
  readonly token: FencingToken
  /** The newest that the guard has seen, where it can tell. */
  readonly newest: FencingToken | undefined
}

const fenceRefused = eventPoint<StaleRefusal>('fence.refused')

/** The error of a guard that refuses a token; tools are told of it. */
export function refusedAsStale(guard: GuardKind, fenced: Fenced, newest: FencingToken | undefined): StaleTokenError {
  const { resource, token } = fenced
  tellRefused({ guard, resource, token, newest })
  return new StaleTokenError(resource, token, newest)
}

/** Tells tools that a stale token was refused. */
export function tellRefused(refusal: StaleRefusal): void {
  fenceRefused.publish(refusal)
}
