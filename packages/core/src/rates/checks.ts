import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { checkDurationMs, checkKeys } from '../options.ts'
import type { RateCallOptions, RateQuota, RateTake } from '../ports/rates.ts'
import { RATE_TAKES_MAX } from '../ports/rates.ts'

const COUNT_MAX = 1_000_000_000
const PERIOD_MS = { min: 1, max: 86_400_000 }
const TIMEOUT_MS = { min: 1, max: 60_000 }
const OPTIONS: ReadonlySet<string> = new Set(['timeoutMs'])

/**
 * What all stores refuse before anything is sent. Returns a copy: the caller may change his while the answer is awaited.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkedTake({ key, quota, cost, least }: RateTake): Required<RateTake> {
  checkName('key', key)
  checkQuota(quota)
  const { limit, periodMs, burst } = quota
  checkCount('cost', cost, { min: 0, max: burst, why: '`burst`' })
  const isLess = least !== undefined && !(least === 0 && cost === 0)
  if (isLess) checkCount('least', least, { min: 1, max: cost, why: '`cost`' })
  return { key, quota: { limit, periodMs, burst }, cost, least: least ?? cost }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` also for a key that comes twice. */
export function checkedTakes(takes: readonly RateTake[]): readonly Required<RateTake>[] {
  if (!Array.isArray(takes) || takes.length === 0 || takes.length > RATE_TAKES_MAX) {
    throw new InvalidArgumentError(
      'takes',
      `Expected \`takes\` to be an array of 1 to ${RATE_TAKES_MAX} takes, got ${show(takes)}.`,
    )
  }
  const seen = new Set<string>()
  return (takes as readonly RateTake[]).map(take => {
    const checked = checkedTake(take)
    if (seen.has(checked.key)) {
      throw new InvalidArgumentError('key', `Expected each \`key\` of \`takes\` once, got ${show(take.key)} twice.`)
    }
    seen.add(checked.key)
    return checked
  })
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkGiveBack(key: string, quota: RateQuota, count: number): void {
  checkName('key', key)
  checkQuota(quota)
  checkCount('count', count, { min: 0, max: COUNT_MAX })
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkCallOptions(options: RateCallOptions | undefined): void {
  if (options === undefined) return
  checkKeys('a call of rates', options, OPTIONS)
  if (options.timeoutMs !== undefined) checkDurationMs('timeoutMs', options.timeoutMs, TIMEOUT_MS)
}

function checkQuota(quota: RateQuota): void {
  if (typeof quota !== 'object' || quota === null) {
    throw new InvalidArgumentError('quota', `Expected \`quota\` to be { limit, periodMs, burst }, got ${show(quota)}.`)
  }
  checkCount('limit', quota.limit, { min: 1, max: COUNT_MAX })
  checkDurationMs('periodMs', quota.periodMs, PERIOD_MS)
  checkCount('burst', quota.burst, { min: 1, max: COUNT_MAX })
}

function checkCount(
  argument: string,
  value: number,
  { min, max, why }: { readonly min: number; readonly max: number; readonly why?: string },
): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  const limit = why === undefined ? String(max) : `${why} (${max})`
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be an integer from ${min} to ${limit}, got ${show(value)}.`,
  )
}
