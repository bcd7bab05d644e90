import type { AbortConditions, PublishOptions } from './admin.ts'
import {
  InvalidArgumentError,
  checkDurationMs,
  checkGivenKeys,
  checkKeys,
  checkName,
  checkSignal,
  show,
} from '@holdfast/core'
import type { Step } from './steps.ts'
import { checkedSteps } from './steps.ts'

/** Publish options with their defaults. */
export interface CheckedPublish {
  readonly expectedRevision: number | undefined
  readonly requestId: string | undefined
  readonly message: string
  readonly author: string | undefined
  readonly steps: readonly Step[]
  readonly bakeMs: number
  readonly abortOn: CheckedAbort
  readonly settleMs: number
  readonly signal: AbortSignal | undefined
}

/** Abort conditions with their defaults. */
export interface CheckedAbort {
  readonly refusals: number
  /** Infinity for none. */
  readonly silent: number
  readonly guard: AbortConditions['guard']
}

/** What publish options are left out mean. */
export const PUBLISH_DEFAULTS: Readonly<{ bakeMs: number; settleMs: number; refusals: number }> = Object.freeze({
  bakeMs: 60_000,
  settleMs: 30_000,
  refusals: 1,
})

const MESSAGE_LENGTH_MAX = 2_000
const REQUEST_ID_LENGTH_MAX = 100
const DAY_MS = 86_400_000
const ROLLOUT_OPTIONS = ['bakeMs', 'abortOn', 'settleMs', 'signal'] as const
const KNOWN_RESUME: ReadonlySet<string> = new Set(ROLLOUT_OPTIONS)
const KNOWN: ReadonlySet<string> = new Set([
  'expectedRevision',
  'requestId',
  'message',
  'author',
  'steps',
  ...ROLLOUT_OPTIONS,
])
const KNOWN_ROLLBACK: ReadonlySet<string> = new Set([...KNOWN, 'to'])
const KNOWN_ABORT: ReadonlySet<string> = new Set(['refusals', 'silent', 'guard'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedPublish(where: 'publish' | 'rollback', options: PublishOptions): CheckedPublish {
  checkGivenKeys(where, options, where === 'rollback' ? KNOWN_ROLLBACK : KNOWN)
  const { expectedRevision, requestId, message = '', author } = options
  checkRevision(expectedRevision)
  if (requestId !== undefined) checkText('requestId', requestId, REQUEST_ID_LENGTH_MAX)
  if (author !== undefined) checkName('author', author)
  if (typeof message !== 'string' || message.length > MESSAGE_LENGTH_MAX || /\p{Surrogate}/u.test(message)) {
    throw new InvalidArgumentError(
      'message',
      `Expected \`message\` to be a text of at most ${MESSAGE_LENGTH_MAX} characters, got ${show(message)}.`,
    )
  }
  return {
    expectedRevision,
    requestId,
    message,
    author,
    steps: checkedSteps(options.steps),
    ...checkedRollout(options),
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedResume(
  options: Pick<PublishOptions, (typeof ROLLOUT_OPTIONS)[number]> = {},
): ReturnType<typeof checkedRollout> {
  checkKeys('resume', options, KNOWN_RESUME)
  return checkedRollout(options)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkRevision(value: unknown): asserts value is number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0)) return
  throw new InvalidArgumentError(
    'expectedRevision',
    `Expected \`expectedRevision\` to be the number of a release, or 0 for none, got ${show(value)}.`,
  )
}

function checkedRollout(options: PublishOptions): Pick<CheckedPublish, 'bakeMs' | 'abortOn' | 'settleMs' | 'signal'> {
  const { bakeMs = PUBLISH_DEFAULTS.bakeMs, settleMs = PUBLISH_DEFAULTS.settleMs, abortOn = {}, signal } = options
  checkDurationMs('bakeMs', bakeMs, { min: 0, max: DAY_MS })
  checkDurationMs('settleMs', settleMs, { min: 100, max: DAY_MS })
  checkSignal(signal)
  checkKeys('abortOn', abortOn, KNOWN_ABORT)
  const { refusals = PUBLISH_DEFAULTS.refusals, silent = Number.POSITIVE_INFINITY, guard } = abortOn
  checkCount('abortOn.refusals', refusals)
  checkCount('abortOn.silent', silent)
  if (guard !== undefined && typeof guard !== 'function') {
    throw new InvalidArgumentError('abortOn.guard', `Expected \`abortOn.guard\` to be a function, got ${show(guard)}.`)
  }
  return { bakeMs, settleMs, signal, abortOn: { refusals, silent, guard } }
}

function checkCount(argument: string, value: unknown): void {
  if (typeof value === 'number' && value >= 1 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY)) {
    return
  }
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be an integer >= 1, got ${show(value)}.`)
}

function checkText(argument: string, value: unknown, lengthMax: number): void {
  checkName(argument, value)
  if (value.length <= lengthMax) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to have at most ${lengthMax} characters, got ${value.length}.`,
  )
}
