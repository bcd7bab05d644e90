import type { Backend } from '../backend.ts'
import { InvalidArgumentError, LeaseLostError, RefusedError, UnavailableError, UnknownOutcomeError } from '../errors.ts'
import type { Fenced, Guard } from '../fencing/guard.ts'
import { FencingToken } from '../fencing/token.ts'
import { checkName, isPromise, show } from '../names.ts'
import { checkGivenKeys, checkKeys } from '../options.ts'
import type { BackendInternals } from './backend.ts'
import { internalsOf } from './backend.ts'
import { CODE, nameOfCode, toHoldfastError } from './errors.ts'
import { FenceRecords } from './fence-record.ts'
import type { FenceOperation } from './fence-operations.ts'
import { stepsOf } from './fence-operations.ts'
import type { Step, StepResult } from './multi.ts'

/** How a guard is made. */
export interface ZooKeeperFenceOptions {
  /** One that `zookeeperBackend` made; its `root` is where the fences are kept. It stays yours. */
  readonly backend: Backend
}

/** Writes under a guard. */
export interface ApplyRequest {
  /** A lease, or the resource and token of one. */
  readonly lease: Fenced
  /** At least one; at most 900 kB together. */
  readonly operations: readonly FenceOperation[]
}

/** What an operation did; `version` is the node's new one. */
export type ApplyResult =
  | { readonly kind: 'create'; readonly path: string }
  | { readonly kind: 'set'; readonly version: number }
  | { readonly kind: 'delete' }
  | { readonly kind: 'check' }

/** A guard for data that is kept in ZooKeeper. */
export interface ZooKeeperFence extends Guard {
  /**
   * Does all operations in one transaction with the check of the token; or none of them. While the lease is held through the same
   * backend, the transaction also checks that its node still stands.
   *
   * @returns one result for each operation
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen
   * @throws {LeaseLostError} `HF_LEASE_LOST` when the lease's node is gone
   * @throws {RefusedError} `HF_REFUSED` when an operation cannot be done; the message names it
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when the answer was lost: all was done, or nothing
   * @throws {UnavailableError} `HF_UNAVAILABLE` when it was never sent
   */
  apply(request: ApplyRequest): Promise<readonly ApplyResult[]>
}

const OPTIONS: ReadonlySet<string> = new Set(['backend'])
const REQUEST: ReadonlySet<string> = new Set(['lease', 'operations'])
const RAISE_ATTEMPTS_MAX = 3

/**
 * A guard that keeps the newest token of each resource in ZooKeeper, beside the data that it protects.
 *
 * @example
 * const fence = zookeeperFence(backend)
 * await fence.apply({ lease, operations: [{ kind: 'set', path: '/stock/42', data: '7' }] })
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function zookeeperFence(backend: Backend | ZooKeeperFenceOptions): ZooKeeperFence {
  const isOptions = typeof backend === 'object' && backend !== null && 'backend' in backend
  if (isOptions) checkKeys('zookeeperFence', backend, OPTIONS)
  const parts = internalsOf(isOptions ? backend.backend : backend)
  const records = new FenceRecords(parts.layout, parts.sessions.server)
  return {
    raise: fenced => raise(parts, records, fenced),
    apply: request => apply(parts, records, request),
  }
}

async function raise(parts: BackendInternals, records: FenceRecords, fenced: Fenced): Promise<void> {
  const checked = checkFenced('raise', fenced)
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = await records.apply(parts.sessions.current, checked, [])
      if (outcome.kind === 'done') return
      throw refusal(parts, outcome.code, 'the fence')
    } catch (error) {
      // Raising twice does no harm, so a lost answer is no reason to give up.
      if (!(error instanceof UnknownOutcomeError)) throw toHoldfastError(error, parts.sessions.server)
      if (attempt < RAISE_ATTEMPTS_MAX) continue
      throw new UnavailableError(`ZooKeeper at ${parts.sessions.server} did not say whether it raised the fence.`, {
        cause: error,
      })
    }
  }
}

async function apply(
  parts: BackendInternals,
  records: FenceRecords,
  request: ApplyRequest,
): Promise<readonly ApplyResult[]> {
  checkGivenKeys('apply', request, REQUEST)
  const fenced = checkFenced('lease', request.lease)
  const steps = stepsOf(request.operations, parts.chroot)
  const lockNode = parts.leases.nodeOf(fenced)
  const checks: Step[] = lockNode === undefined ? [] : [{ kind: 'check', path: lockNode, version: -1 }]
  const outcome = await records.apply(parts.sessions.current, fenced, [...checks, ...steps]).catch((error: unknown) => {
    throw toHoldfastError(error, parts.sessions.server)
  })
  if (outcome.kind === 'done') return outcome.results.slice(checks.length).map(result => resultOf(result, parts.chroot))
  const index = outcome.index - checks.length
  if (outcome.index >= 0 && index < 0 && outcome.code === CODE.noNode)
    throw new LeaseLostError(fenced.resource, 'revoked')
  const step = steps[index]
  throw refusal(
    parts,
    outcome.code,
    step === undefined ? 'the fence' : `operation ${index} (${step.kind} ${step.path})`,
  )
}

// The token of a lease that has ended cannot be read: its getter says so.
function checkFenced(argument: string, fenced: Fenced): Fenced {
  if (typeof fenced !== 'object' || fenced === null || isPromise(fenced)) {
    throw new InvalidArgumentError(
      argument,
      `Expected \`${argument}\` to be a lease, or { resource, token }, got ${show(fenced)}.`,
    )
  }
  const { resource, token } = fenced
  checkName('resource', resource)
  if (token instanceof FencingToken) return { resource, token }
  throw new InvalidArgumentError('token', `Expected \`token\` to be a FencingToken, got ${show(token)}.`)
}

function refusal(parts: BackendInternals, code: number, what: string): RefusedError {
  return new RefusedError(
    `ZooKeeper at ${parts.sessions.server} refused ${what}: ${nameOfCode(code)}. Nothing was changed.`,
  )
}

function resultOf(result: StepResult, chroot: string): ApplyResult {
  switch (result.kind) {
    case 'create':
      return { kind: 'create', path: result.path.slice(chroot.length) }
    case 'set':
      return { kind: 'set', version: result.stat.version }
    case 'delete':
    case 'check':
      return result
  }
}
