import type { Backend, Clock, IdempotencyStore, Random } from '@holdfast/core'
import { InvalidArgumentError, checkDurationMs, checkName, show, systemClock, systemRandom } from '@holdfast/core'
import { checkFunction, checkOneOf, checkStageOptions } from '../checks.ts'
import type { StageOptions } from '../stage.ts'
import type { ResultCodec } from './stored-result.ts'
import { jsonCodec } from './stored-result.ts'

/** What `idempotent` can be given. */
export interface IdempotentOptions extends Omit<StageOptions, 'mode'> {
  /** Where runs are noted: its `idempotency`. Either this or `store`. */
  readonly backend?: Backend
  readonly store?: IdempotencyStore
  /**
   * What the keys are keys of: an operation (`charge`), and a tenant, if keys of tenants can be the same. Two policies with one scope
   * share their keys. A name, 1 to 90 bytes.
   */
  readonly scope: string
  /** `always`: a call without a key is refused; `ifGiven`: it simply runs. @default 'ifGiven' */
  readonly required?: 'always' | 'ifGiven'
  /**
   * How long a run counts as alive when it is not heard of, in milliseconds, 300 to 86,400,000. Renewed at a third of it.
   *
   * @default 30_000
   */
  readonly leaseMs?: number
  /** How long results are kept and replayed, in milliseconds, 1,000 to 31,536,000,000 (a year). @default 86_400_000, a day */
  readonly keepMs?: number
  /**
   * What becomes of a key whose run was lost (its process died): `rerun` runs it again, with a higher fence; `fail` says that nobody knows
   * (`HF_UNKNOWN_OUTCOME`), for `keepMs`.
   *
   * @default 'rerun'
   */
  readonly onLost?: 'rerun' | 'fail'
  /**
   * What becomes of a call whose key is at work: `refuse` it (`HF_IN_FLIGHT`), or let it `wait` for the result, `waitMs` at most.
   *
   * @default 'refuse'
   */
  readonly whenInFlight?: 'refuse' | 'wait'
  /** How long a call waits for the result of another, in milliseconds, 1 to 86,400,000. @default 10_000 */
  readonly waitMs?: number
  /**
   * What becomes of a call when the store cannot be reached: `refuse` it (`HF_UNAVAILABLE`), or `run` it without any protection.
   *
   * @default 'refuse'
   */
  readonly whenUnavailable?: 'refuse' | 'run'
  /**
   * Which failures of the work are results: kept and replayed. All others give the key back, so that the next call runs it again.
   * Never asked of a refusal by another policy, nor when the work had not begun.
   *
   * @default none
   */
  readonly keepFailure?: (error: unknown) => boolean
  /** A result as text or bytes, 262,143 at most. `undefined` needs none. @default JSON.stringify */
  readonly encode?: (value: unknown) => Uint8Array | string
  /** The opposite of `encode`. @default JSON.parse */
  readonly decode?: (bytes: Uint8Array) => unknown
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

const DEFAULTS = Object.freeze({
  required: 'ifGiven',
  leaseMs: 30_000,
  keepMs: 86_400_000,
  onLost: 'rerun',
  whenInFlight: 'refuse',
  waitMs: 10_000,
  whenUnavailable: 'refuse',
  keepFailure: (): boolean => false,
  clock: systemClock,
  random: systemRandom,
} as const)

/** Options, checked, with defaults. */
export type IdempotentSettings = Required<
  Omit<IdempotentOptions, 'backend' | 'store' | 'name' | 'encode' | 'decode'>
> & {
  readonly name?: string
  readonly store: IdempotencyStore
  readonly codec: ResultCodec
}

const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(DEFAULTS),
  ...['name', 'mode', 'backend', 'store', 'scope', 'encode', 'decode'],
])
const SCOPE_BYTES_MAX = 90
const LEASE_MS = { min: 300, max: 86_400_000 }
const KEEP_MS = { min: 1_000, max: 31_536_000_000 }
const WAIT_MS = { min: 1, max: 86_400_000 }

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedSettings(given: IdempotentOptions): IdempotentSettings {
  checkStageOptions('idempotent', given, KNOWN)
  checkMode(given)
  const { backend, store: givenStore, encode, decode, ...rest } = given
  const settings = { ...DEFAULTS, ...rest }
  checkScope(settings.scope)
  checkOneOf('required', settings.required, ['always', 'ifGiven'])
  checkDurationMs('leaseMs', settings.leaseMs, LEASE_MS)
  checkDurationMs('keepMs', settings.keepMs, KEEP_MS)
  checkOneOf('onLost', settings.onLost, ['rerun', 'fail'])
  checkOneOf('whenInFlight', settings.whenInFlight, ['refuse', 'wait'])
  checkDurationMs('waitMs', settings.waitMs, WAIT_MS)
  checkOneOf('whenUnavailable', settings.whenUnavailable, ['refuse', 'run'])
  checkFunction('keepFailure', settings.keepFailure)
  return { ...settings, store: checkedStore(backend, givenStore), codec: checkedCodec(encode, decode) }
}

// Another word than `enforce` would mean to run a key twice, and say so afterwards.
function checkMode(given: IdempotentOptions): void {
  const { mode = 'enforce' } = given as StageOptions
  if (mode === 'enforce') return
  throw new InvalidArgumentError(
    'mode',
    `Expected no \`mode\` of idempotent but 'enforce', got ${show(mode)}: to leave a policy out, leave it out of the pipeline.`,
  )
}

function checkScope(scope: unknown): void {
  checkName('scope', scope)
  const sizeBytes = Buffer.byteLength(scope)
  if (sizeBytes <= SCOPE_BYTES_MAX) return
  throw new InvalidArgumentError(
    'scope',
    `Expected \`scope\` to have at most ${SCOPE_BYTES_MAX} bytes, got ${sizeBytes}.`,
  )
}

function checkedStore(backend: Backend | undefined, store: IdempotencyStore | undefined): IdempotencyStore {
  const found = backend === undefined ? store : backend.idempotency
  if ((backend === undefined) !== (store === undefined) && typeof found?.begin === 'function') return found
  const both = backend !== undefined && store !== undefined
  throw new InvalidArgumentError(
    'backend',
    `Expected idempotent to be given either \`backend\` or \`store\`, got ${both ? 'both' : show(backend ?? store)}.`,
  )
}

function checkedCodec(encode: IdempotentOptions['encode'], decode: IdempotentOptions['decode']): ResultCodec {
  checkFunction('encode', encode)
  checkFunction('decode', decode)
  if ((encode === undefined) === (decode === undefined)) {
    return encode === undefined || decode === undefined ? jsonCodec : { encode, decode }
  }
  throw new InvalidArgumentError('encode', 'Expected `encode` and `decode` to be given together, got one of them.')
}
