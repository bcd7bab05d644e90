import { InvalidArgumentError, show } from '@holdfast/core'
import type { InstanceReport } from '../client/report.ts'
import type { ReleaseName, RolloutRule } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { bucketOf } from '../release/selection.ts'
import type { RolloutStep } from './admin.ts'

/** A step before it is known which instances there are. */
export type Step =
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'labels'; readonly labels: Readonly<Record<string, string>> }
  | { readonly kind: 'count'; readonly count: number }

/** For all. */
export const EVERYBODY: RolloutRule = Object.freeze({ kind: 'percent', percent: 100 })

const STEPS_MAX = 20
const PERCENT = /^(\d{1,3}(?:\.\d{1,3})?)%$/
// They stand in the candidate's record, each with its id.
const COUNT = /^\d{1,3}$/

/**
 * The steps of a rollout; a single one, for all, is none.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkedSteps(steps: readonly RolloutStep[] = ['100%']): readonly Step[] {
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > STEPS_MAX) {
    throw refused(`Expected \`steps\` to be a list of 1 to ${STEPS_MAX} steps, got ${show(steps)}.`)
  }
  const parsed = steps.map(parseStep)
  const last = parsed.at(-1)
  if (last?.kind !== 'percent' || last.percent !== 100) {
    throw refused(`Expected the last of the \`steps\` to be '100%', got ${show(steps.at(-1))}.`)
  }
  checkGrowing(parsed)
  return parsed
}

function checkGrowing(steps: readonly Step[]): void {
  const shares = steps.flatMap(step => (step.kind === 'percent' ? [step.percent] : []))
  const counts = steps.flatMap(step => (step.kind === 'count' ? [step.count] : []))
  for (const sizes of [shares, counts]) {
    if (sizes.some((size, at) => at > 0 && size <= (sizes[at - 1] ?? 0))) {
      throw refused(`Expected each of the \`steps\` to be larger than those before it, got ${sizes.join(', ')}.`)
    }
  }
}

/** Which release is rolled out, and to whom. */
export interface RolloutTarget {
  readonly scope: Scope
  readonly release: ReleaseName
  /** The instances alive. */
  readonly reports: readonly InstanceReport[]
}

/**
 * The rules of the steps, each with what those before it select. Of so many instances the first are chosen, in the order in which
 * shares grow too.
 */
export function rulesOf(steps: readonly Step[], target: RolloutTarget): readonly RolloutRule[] {
  const ids = inOrder(target)
  const own = steps.map((step): RolloutRule => {
    return step.kind === 'count' ? { kind: 'instances', ids: ids.slice(0, step.count) } : step
  })
  return own.map((_, at) => anyOf(own.slice(0, at + 1)))
}

// Of shares, and of numbers of instances, the last one has the others in it.
function anyOf(rules: readonly RolloutRule[]): RolloutRule {
  if (rules.some(rule => rule.kind === 'percent' && rule.percent === 100)) return EVERYBODY
  const needed = rules.filter(
    (rule, at) => rule.kind === 'labels' || !rules.slice(at + 1).some(({ kind }) => kind === rule.kind),
  )
  const [only] = needed
  return needed.length === 1 && only !== undefined ? only : { kind: 'any', of: needed }
}

// Rendezvous: who joins or leaves changes nothing in the order of the others.
function inOrder({ scope, release, reports }: RolloutTarget): readonly string[] {
  return reports
    .map(({ id, slot }) => ({ id, place: bucketOf(slot, release, scope) }))
    .sort((a, b) => a.place - b.place || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id)
}

function parseStep(step: unknown): Step {
  if (typeof step === 'string') {
    const percent = Number(PERCENT.exec(step)?.[1] ?? Number.NaN)
    if (percent > 0 && percent <= 100) return { kind: 'percent', percent }
    if (COUNT.test(step) && Number(step) > 0) return { kind: 'count', count: Number(step) }
  }
  if (typeof step === 'object' && step !== null && !Array.isArray(step)) {
    const labels = Object.entries(step)
    if (labels.length > 0 && labels.every(([, value]) => typeof value === 'string')) {
      return { kind: 'labels', labels: Object.fromEntries(labels) }
    }
  }
  throw refused(`Expected a step to be a share ('10%'), a number of instances ('3') or labels, got ${show(step)}.`)
}

function refused(message: string): InvalidArgumentError {
  return new InvalidArgumentError('steps', message)
}
