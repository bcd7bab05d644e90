import { InvalidArgumentError } from '../errors.ts'
import { checkName, isPromise, show } from '../names.ts'
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
  checkGiven(fenced)
  const { resource } = fenced
  checkName('resource', resource)
  return { resource, token: tokenOf(fenced) }
}

/**
 * The token of a lease, or of what has one.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {LeaseLostError} `HF_LEASE_LOST` when it is a lease that was lost
 */
export function tokenOf(fenced: Pick<Fenced, 'token'>): FencingToken {
  checkGiven(fenced)
  const { token } = fenced
  if (token instanceof FencingToken) return token
  throw new InvalidArgumentError('token', `Expected \`token\` to be a FencingToken, got ${show(token)}.`)
}

/**
 * Refuses what cannot be raised.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkGuard(argument: string, guard: unknown): asserts guard is Guard {
  const given = guard as { readonly raise?: unknown; readonly check?: unknown } | null | undefined
  if (typeof given?.raise === 'function') return
  if (typeof given?.check === 'function') {
    throw new InvalidArgumentError(
      argument,
      `Expected \`${argument}\` to have a \`raise\` method, got a fence that only checks: postgresFence needs a \`pool\` to be a guard.`,
    )
  }
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to have a \`raise\` method, got ${show(guard)}.`)
}

function checkGiven(fenced: unknown): void {
  if (typeof fenced === 'object' && fenced !== null && !isPromise(fenced)) return
  throw new InvalidArgumentError('fenced', `Expected a lease, or { resource, token }, got ${show(fenced)}.`)
}
