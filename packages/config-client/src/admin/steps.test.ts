import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { InstanceReport } from '../client/report.ts'
import { decodeCandidate, encodeCandidate } from '../release/codec.ts'
import type { Release, RolloutRule } from '../release/release.ts'
import { selects } from '../release/selection.ts'
import type { RolloutStep } from './admin.ts'
import { SCOPE } from './fleet.fixture.ts'
import { EVERYBODY, checkedSteps, rulesOf } from './steps.ts'

const RELEASE = { number: 2, hash: 'a'.repeat(64) }

function fleetOf(size: number): readonly InstanceReport[] {
  return Array.from({ length: size }, (_, at) => ({
    id: `id-${at}`,
    slot: `slot-${at}`,
    labels: { zone: at % 3 === 0 ? 'a' : 'b' },
    applied: undefined,
    source: 'store' as const,
    refusal: undefined,
    pendingRestart: [],
    schemas: {},
  }))
}

function candidateOf(rules: readonly RolloutRule[]): Parameters<typeof encodeCandidate>[1] {
  const release: Release = {
    ...RELEASE,
    parent: undefined,
    kind: 'publish',
    rolledBackTo: undefined,
    author: 'ann',
    message: '',
    requestId: 'r',
    publishedAtMs: 0,
    signature: undefined,
  }
  return { release, rule: rules[0] ?? EVERYBODY, step: 0, steps: rules, content: undefined }
}

const aStep: fc.Arbitrary<RolloutStep> = fc.oneof(
  fc.constantFrom('1%', '10%', '50%', '99.5%', '1', '3', '20'),
  fc.constant({ zone: 'a' }),
)

function inOrder(steps: readonly RolloutStep[]): readonly RolloutStep[] {
  const sizes = { share: 0, count: 0 }
  return steps.filter(step => {
    if (typeof step !== 'string') return true
    const kind = step.endsWith('%') ? 'share' : 'count'
    if (Number.parseFloat(step) <= sizes[kind]) return false
    sizes[kind] = Number.parseFloat(step)
    return true
  })
}

test('Whoever a step selects, every later step selects, whatever the steps are; the last one selects all.', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 8 }), fc.integer({ min: 0, max: 40 }), (some, size) => {
      const reports = fleetOf(size)
      const steps = checkedSteps([...inOrder(some), '100%'])
      const selected = rulesOf(steps, { scope: SCOPE, release: RELEASE, reports }).map(
        rule => new Set(reports.filter(report => selects(rule, report, RELEASE, SCOPE)).map(({ id }) => id)),
      )
      for (const [at, now] of selected.entries()) {
        for (const id of now) for (const later of selected.slice(at)) expect(later.has(id)).toBe(true)
      }
      expect(selected.at(-1)?.size).toBe(size)
    }),
  )
})

test('A number of instances selects as many as there are, and the same ones whoever else is there.', () => {
  const [rule] = rulesOf(checkedSteps(['3', '100%']), { scope: SCOPE, release: RELEASE, reports: fleetOf(20) })
  expect(rule).toMatchObject({ kind: 'instances', ids: { length: 3 } })
  const chosen = rule?.kind === 'instances' ? rule.ids : []
  const reports = fleetOf(20).filter(({ id }) => chosen.includes(id) || id.endsWith('1'))
  expect(rulesOf(checkedSteps(['3', '100%']), { scope: SCOPE, release: RELEASE, reports })[0]).toEqual(rule)
  const [few] = rulesOf(checkedSteps(['3', '100%']), { scope: SCOPE, release: RELEASE, reports: fleetOf(2) })
  expect(few).toMatchObject({ ids: { length: 2 } })
})

test('Rules stand in a record as they are, and one that is any of others is not nested.', () => {
  const steps = checkedSteps([{ zone: 'a' }, '2', '10%', '100%'])
  const rules = rulesOf(steps, { scope: SCOPE, release: RELEASE, reports: fleetOf(5) })
  expect(rules.map(({ kind }) => kind)).toEqual(['labels', 'any', 'any', 'percent'])
  expect(decodeCandidate(SCOPE, encodeCandidate(SCOPE, candidateOf(rules))).steps).toEqual(rules)
  const nested: RolloutRule = { kind: 'any', of: [{ kind: 'any', of: [] }] }
  expect(() => decodeCandidate(SCOPE, encodeCandidate(SCOPE, candidateOf([nested])))).toThrow(
    expect.objectContaining({ code: 'HF_UNTRUSTED' }),
  )
})
