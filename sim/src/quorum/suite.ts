import type { QuorumSimulationOptions, QuorumSimulationReport } from '@holdfast/core/testing'
import { describeViolation, simulateQuorum } from '@holdfast/core/testing'
import type { LockOutput } from '../locks/suite.ts'

/** What was asked of the suite. */
export interface QuorumRequest {
  readonly kind: 'quorum'
  readonly seed: number
  readonly runs: number
  readonly isJson: boolean
}

/** What breaks a rule, and what must be found then. */
interface Control {
  readonly name: string
  readonly options: Partial<QuorumSimulationOptions>
  readonly finds: 'overlap' | 'token-not-greater'
}

const CONTROLS: readonly Control[] = [
  {
    name: 'clocks that differ by more than the quarantine',
    options: { clockSkewMs: 30_000 },
    finds: 'token-not-greater',
  },
  { name: 'no quarantine', options: { clockSkewMs: 0, quarantineMs: 0 }, finds: 'overlap' },
]

const CONTROL_RUNS_MAX = 200
const FAILURES_SHOWN_MAX = 5
const PROGRESS_EVERY = 20

/**
 * Runs the client of a quorum of Redis servers in simulated time: nothing may be violated; the first seed once more, which must give the
 * same history; and two controls that break what the promises rest on, in which something must be.
 *
 * @returns whether all is as it must be
 */
export async function simulateQuorums(request: QuorumRequest, output: LockOutput): Promise<boolean> {
  const isSafe = await played(request, output)
  const isReplayed = await replayed(request, output)
  const areControlled: boolean[] = []
  for (const control of CONTROLS) areControlled.push(await controlled(control, request, output))
  return isSafe && isReplayed && areControlled.every(Boolean)
}

/** One run in three is of five servers, the others are of three. */
function runOf(seed: number, options: Partial<QuorumSimulationOptions> = {}): Promise<QuorumSimulationReport> {
  return simulateQuorum({ seed, servers: seed % 3 === 0 ? 5 : 3, ...options })
}

async function played({ seed, runs, isJson }: QuorumRequest, output: LockOutput): Promise<boolean> {
  let [grants, faults, violations, shown] = [0, 0, 0, 0]
  for (let index = 0; index < runs; index += 1) {
    const report = await runOf(seed + index)
    grants += report.holds.length
    faults += report.faults
    violations += report.violations.length
    if (report.violations.length > 0 && (shown += 1) <= FAILURES_SHOWN_MAX) output.line(failureOf(report, isJson))
    if (runs === 1 && !isJson) output.line(report.log.join('\n'))
    if ((index + 1) % PROGRESS_EVERY === 0) output.progress(`${index + 1}/${runs} runs, ${violations} violations`)
  }
  const tally = { suite: 'quorum', runs, grants, faults, violations }
  output.line(
    isJson
      ? JSON.stringify(tally)
      : `${runs} runs of a quorum: ${grants} leases, ${faults} servers crashed, emptied or restored, ${violations} violations.`,
  )
  return violations === 0
}

async function replayed({ seed, isJson }: QuorumRequest, output: LockOutput): Promise<boolean> {
  const [one, again] = [await runOf(seed), await runOf(seed)]
  const isSame = one.log.join('\n') === again.log.join('\n')
  output.line(
    isJson
      ? JSON.stringify({ suite: 'quorum-replay', seed, isSame })
      : `Seed ${seed} again: ${isSame ? 'the same history' : 'ANOTHER HISTORY'}.`,
  )
  return isSame
}

async function controlled(control: Control, { seed, isJson }: QuorumRequest, output: LockOutput): Promise<boolean> {
  const { name, options, finds } = control
  let runs = 0
  let isFound = false
  while (!isFound && runs < CONTROL_RUNS_MAX) {
    const { violations } = await runOf(seed + runs, options)
    isFound = violations.some(({ kind }) => kind === finds)
    runs += 1
  }
  const said = isFound ? `found in run ${runs}` : `NOT FOUND in ${runs} runs`
  output.line(
    isJson
      ? JSON.stringify({ suite: 'quorum-control', control: name, finds, isFound, runs })
      : `Control, ${name}: ${finds} ${said}.`,
  )
  return isFound
}

function failureOf({ seed, violations }: QuorumSimulationReport, isJson: boolean): string {
  const sentences = violations.map(violation => describeViolation(violation))
  return isJson
    ? JSON.stringify({ suite: 'quorum', seed, violations: sentences })
    : `Seed ${seed}: ${sentences.join(' ')}`
}
