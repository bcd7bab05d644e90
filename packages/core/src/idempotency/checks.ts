import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import type { DurationRange } from '../options.ts'
import { TTL_MS, checkDurationMs } from '../options.ts'
import type { BeginRequest, Completion, RunRef } from '../ports/idempotency.ts'
import { RESULT_BYTES_MAX } from '../ports/idempotency.ts'

/** How long a result can be kept: a second to a year. */
const KEEP_MS: DurationRange = { min: 1_000, max: 31_536_000_000 }

const OWNER = /^[\w-]{22}$/

/**
 * Refuses what no store would begin.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkBegin({ key, fingerprint, owner, leaseMs, onLost, keepMs }: BeginRequest): void {
  checkName('key', key)
  checkName('fingerprint', fingerprint)
  checkOwner(owner)
  checkDurationMs('leaseMs', leaseMs, TTL_MS)
  checkDurationMs('keepMs', keepMs, KEEP_MS)
  if (onLost === 'rerun' || onLost === 'fail') return
  throw new InvalidArgumentError('onLost', `Expected \`onLost\` to be 'rerun' or 'fail', got ${show(onLost)}.`)
}

/**
 * Refuses what cannot be a run.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkRun({ key, owner, fence }: RunRef): void {
  checkName('key', key)
  checkOwner(owner)
  if (typeof fence === 'bigint' && fence > 0n) return
  throw new InvalidArgumentError(
    'fence',
    `Expected \`fence\` to be the one that \`begin\` answered, got ${show(fence)}.`,
  )
}

/**
 * Refuses what cannot be kept.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkCompletion({ result, keepMs }: Completion): void {
  checkDurationMs('keepMs', keepMs, KEEP_MS)
  if (!(result instanceof Uint8Array)) {
    throw new InvalidArgumentError('result', `Expected \`result\` to be bytes, got ${show(result)}.`)
  }
  if (result.length <= RESULT_BYTES_MAX) return
  throw new InvalidArgumentError(
    'result',
    `Expected a result of at most ${RESULT_BYTES_MAX} bytes, got ${result.length}.`,
  )
}

/**
 * Refuses a lease that no store would give.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkLeaseMs(leaseMs: unknown): asserts leaseMs is number {
  checkDurationMs('leaseMs', leaseMs, TTL_MS)
}

function checkOwner(owner: unknown): void {
  if (typeof owner === 'string' && OWNER.test(owner)) return
  throw new InvalidArgumentError('owner', `Expected \`owner\` to be from \`newOwner\`, got ${show(owner)}.`)
}
