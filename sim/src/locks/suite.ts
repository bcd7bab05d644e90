import type { SimulationReport } from '@holdfast/core/testing'
import { describeEvents } from '@holdfast/core/testing'
import type { Tally } from './run.ts'
import { NOTHING, runOf, withRun } from './run.ts'

/** What was asked of the suite. */
export interface LockRequest {
  readonly kind: 'locks'
  readonly seed: number
  readonly runs: number
  readonly hasGuards: boolean
  readonly isJson: boolean
}

/** Where it says what it does. */
export interface LockOutput {
  readonly line: (text: string) => void
  /** To a person who waits. */
  readonly progress: (text: string) => void
}

/** In so many runs without guards a violation must have been found: a checker that cannot fail has shown nothing. */
const CONTROL_RUNS_MAX = 200
const FAILURES_SHOWN_MAX = 5
const PROGRESS_EVERY = 20

/**
 * Runs locks in simulated time, with all that can go wrong: with guards, where nothing may be violated; the first seed once more, which
 * must give the same history; and as the control without guards, where something must be.
 *
 * @returns whether all is as it must be; of runs without guards, whether nothing was violated
 */
export async function simulateLocks(request: LockRequest, output: LockOutput): Promise<boolean> {
  const { seed, hasGuards, isJson } = request
  const tally = await played(request, output)
  if (isJson) output.line(JSON.stringify(lineOf(hasGuards ? 'locks' : 'locks-without-guards', tally)))
  else output.line(textOf(tally, hasGuards))
  if (!hasGuards) return tally.violations === 0
  const isReplayed = await replayed(seed, request, output)
  const isControlled = await controlled(request, output)
  return tally.violations === 0 && isReplayed && isControlled
}

async function played({ seed, runs, hasGuards, isJson }: LockRequest, output: LockOutput): Promise<Tally> {
  let tally = NOTHING
  for (let index = 0; index < runs; index += 1) {
    const report = await runOf(seed + index, hasGuards)
    tally = withRun(tally, report)
    if (report.violations.length > 0 && tally.failures.length <= FAILURES_SHOWN_MAX) {
      output.line(isJson ? JSON.stringify(failureLineOf(report, hasGuards)) : failureOf(report, hasGuards))
      if (runs === 1 && !isJson) output.line(describeEvents(report.events))
    }
    if ((index + 1) % PROGRESS_EVERY === 0) output.progress(`${index + 1}/${runs} runs, ${tally.violations} violations`)
  }
  return tally
}

async function replayed(seed: number, { isJson }: LockRequest, output: LockOutput): Promise<boolean> {
  const [first, second] = [await runOf(seed, true), await runOf(seed, true)]
  const isSame = first.hash === second.hash
  if (isJson) output.line(JSON.stringify({ suite: 'locks-replay', seed, hash: first.hash, violations: isSame ? 0 : 1 }))
  else
    output.line(`replay: seed ${seed} gives the history ${first.hash}, and again ${isSame ? 'the same' : second.hash}`)
  return isSame
}

async function controlled({ seed, isJson }: LockRequest, output: LockOutput): Promise<boolean> {
  for (let index = 0; index < CONTROL_RUNS_MAX; index += 1) {
    const report = await runOf(seed + index, false)
    const [violation] = report.violations
    if (violation === undefined) continue
    if (isJson) {
      const found = {
        suite: 'locks-control',
        violations: 0,
        foundAfterRuns: index + 1,
        seed: report.seed,
        ...violation,
      }
      output.line(JSON.stringify(found))
    } else
      output.line(`control: without guards run ${index + 1} has a violation (seed ${report.seed}): ${violation.why}`)
    return true
  }
  const why = `no violation in ${CONTROL_RUNS_MAX} runs without guards: the checks have shown nothing`
  output.line(isJson ? JSON.stringify({ suite: 'locks-control', violations: 1, why }) : `control: ${why}`)
  return false
}

function failureOf({ seed, violations }: SimulationReport, hasGuards: boolean): string {
  const [first, ...rest] = violations
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`
  return `VIOLATED with seed ${seed}: ${first?.kind}: ${first?.why}${more}\n  again: ${replayOf(seed, hasGuards)}`
}

function failureLineOf({ seed, violations, hash }: SimulationReport, hasGuards: boolean): object {
  const [first] = violations
  const replay = replayOf(seed, hasGuards)
  return { suite: 'locks-failure', seed, violations: violations.length, ...first, hash, replay }
}

function replayOf(seed: number, hasGuards: boolean): string {
  return `npm run sim -- locks --seed ${seed} --runs 1${hasGuards ? '' : ' --without-guards'}`
}

function lineOf(suite: string, tally: Tally): object {
  const { failures, ...sums } = tally
  return { suite, ...sums, failedSeeds: failures.map(({ seed }) => seed) }
}

function textOf(tally: Tally, hasGuards: boolean): string {
  const rows: readonly (readonly [string, string])[] = [
    ['runs', `${tally.runs}, ${hasGuards ? 'with' : 'without'} guards`],
    ['simulated time', `${(tally.simulatedMs / 3_600_000).toFixed(1)} h`],
    ['messages', String(tally.messages)],
    ['went wrong', countsOf(tally.incidents)],
    ['grants', String(tally.grants)],
    ['leases lost', countsOf(tally.lost)],
    ['writes', `${tally.writesAccepted} accepted, ${tally.writesRefused} refused as stale`],
    ['violations', `${tally.violations} in ${tally.failures.length} runs`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(16)}${value}`).join('\n')
}

function countsOf(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).toSorted(([, one], [, other]) => other - one)
  return entries.length === 0 ? 'nothing' : entries.map(([name, count]) => `${name} ${count}`).join(', ')
}
