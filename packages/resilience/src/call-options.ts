import type { Clock } from '@holdfast/core'
import { checkBoolean, checkKeys, checkName, checkSignal, InvalidArgumentError, show } from '@holdfast/core'
import type { CallContext, CallOptions, Priority } from './call.ts'
import { Call, callOf, PRIORITIES } from './call.ts'
import { checkInteger, checkMs } from './checks.ts'

// As services that take one in a header have it: Stripe's has 255.
const IDEMPOTENCY_KEY_LENGTH_MAX = 255

const KNOWN: ReadonlySet<string> = new Set([
  'signal',
  'timeoutMs',
  'priority',
  'key',
  'cost',
  'idempotent',
  'idempotencyKey',
  'fingerprint',
])

/**
 * The call that a caller asks for. A signal of another call of ours makes it a part of that call.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function callFrom(
  work: (context: CallContext) => unknown,
  clock: Clock,
  options: AbortSignal | CallOptions,
): Call {
  if (options instanceof AbortSignal) return callWithin(work, clock, options)
  checkIsThere('execute', options)
  checkKeys('execute', options, KNOWN)
  checkSignal(options.signal)
  const call = callWithin(work, clock, options.signal)
  const { timeoutMs, priority, key, cost, idempotent, idempotencyKey, fingerprint } = options
  if (timeoutMs !== undefined) {
    checkMs('timeoutMs', timeoutMs)
    call.deadlineMs = Math.min(call.deadlineMs, clock.monotonicMs() + timeoutMs)
  }
  if (priority !== undefined) call.priority = checkedPriority(priority)
  if (key !== undefined) {
    checkName('key', key)
    call.key = key
  }
  if (cost !== undefined) {
    checkInteger('cost', cost, { min: 0, max: 1_000_000 })
    call.cost = cost
  }
  if (idempotent !== undefined) {
    checkBoolean('idempotent', idempotent)
    call.idempotent = idempotent
  }
  if (idempotencyKey !== undefined) call.idempotencyKey = checkedIdempotencyKey(idempotencyKey)
  if (fingerprint !== undefined) call.fingerprint = fingerprint
  return call
}

/**
 * Refuses a promise of options: it has none of them, so a key that it would come to would be left out without a word.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkIsThere(where: string, options: unknown): void {
  if (typeof (options as { readonly then?: unknown } | null | undefined)?.then !== 'function') return
  throw new InvalidArgumentError(where, `Expected the options of ${where} to be an object, got a promise.`)
}

function callWithin(work: (context: CallContext) => unknown, clock: Clock, signal: AbortSignal | undefined): Call {
  const parent = callOf(signal)
  // Deadlines count by one clock: a call of another's only passes on that it ended.
  if (parent === undefined || parent.clock !== clock) return new Call(work, { clock, outer: signal })
  const call = new Call(work, { clock, parent })
  // Another operation: what stands for that one does not stand for this.
  call.cost = 1
  call.idempotent = false
  call.idempotencyKey = undefined
  call.fingerprint = undefined
  return call
}

function checkedPriority(priority: unknown): Priority {
  if (PRIORITIES.includes(priority as Priority)) return priority as Priority
  const names = PRIORITIES.map(name => `'${name}'`).join(', ')
  throw new InvalidArgumentError('priority', `Expected \`priority\` to be one of ${names}, got ${show(priority)}.`)
}

function checkedIdempotencyKey(key: unknown): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX) return key
  throw new InvalidArgumentError(
    'idempotencyKey',
    `Expected \`idempotencyKey\` to be a string of 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} characters, got ${show(key)}.`,
  )
}
