import type { ServiceTimes } from '@holdfast/resilience/testing'
import { exponential } from '@holdfast/resilience/testing'

/** A server: how many calls at once, and how long each takes on average. */
export interface Shape {
  readonly name: string
  readonly servers: number
  readonly meanMs: number
  readonly service: ServiceTimes
}

/** From two slow workers to a big pool: what a limit must find by itself differs by a factor of sixty. */
export const SHAPES: readonly Shape[] = [
  shape(2, 20),
  shape(4, 40),
  shape(16, 16),
  shape(64, 16),
  shape(128, 100),
  shape(16, 4),
]

/** The one for what is not about shapes: 1,000 calls per second. */
export const MIDDLE: Shape = shape(16, 16)

function shape(servers: number, meanMs: number): Shape {
  return { name: `${servers}x${meanMs}ms`, servers, meanMs, service: exponential(meanMs) }
}
