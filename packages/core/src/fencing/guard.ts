import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { FencingToken } from './token.ts'

/** Which resource a fencing token speaks for. A `Lease` is one. */
export interface Fenced {
  readonly resource: string
  readonly token: FencingToken
}

/**
 * What stands in front of a protected resource and refuses stale tokens. Each guard has its own way to write
 * (`memoryFence().run`, `redisFence(client).apply`, `zookeeperFence(client).apply`); this is what all have in common.
 */
export interface Guard {
  /**
   * Records the token as the newest one seen, so that every older holder is refused from now on, even before the new one
   * has written. `acquire(name, { guard })` calls it before it hands out the lease. Raising to the same token again is no error.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer one was seen.
   */
  raise(fenced: Fenced): Promise<void>
}

/**
 * What a guard was given, read once. Anything but a token would compare with nothing, and the guard would refuse nobody any more.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {LeaseLostError} `HF_LEASE_LOST` when it is a lease that was lost
 */
export function checkFenced(fenced: Fenced): Fenced {
  if (typeof fenced !== 'object' || fenced === null) {
    throw new InvalidArgumentError('fenced', `Expected a lease, or { resource, token }, got ${show(fenced)}.`)
  }
  const { resource, token } = fenced
  checkName('resource', resource)
  if (token instanceof FencingToken) return { resource, token }
  throw new InvalidArgumentError('token', `Expected \`token\` to be a FencingToken, got ${show(token)}.`)
}
