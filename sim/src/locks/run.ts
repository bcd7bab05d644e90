import type { SimulationReport } from '@holdfast/core/testing'
import { ALL_FAULTS, STANDARD_FAULTS, simulate } from '@holdfast/core/testing'
import { work } from './workload.ts'

/** One run of the suite: the seed decides all of it. Half of them are of a store that forgets. */
export function runOf(seed: number, hasGuards: boolean): Promise<SimulationReport> {
  return simulate({
    seed,
    processes: 2 + (seed % 4),
    faults: seed % 2 === 0 ? STANDARD_FAULTS : ALL_FAULTS,
    run: process => work(process, hasGuards),
  })
}

/** What some runs came to, all in all. */
export interface Tally {
  readonly runs: number
  readonly violations: number
  readonly grants: number
  readonly messages: number
  readonly writesAccepted: number
  readonly writesRefused: number
  readonly simulatedMs: number
  readonly incidents: Readonly<Record<string, number>>
  readonly lost: Readonly<Record<string, number>>
  readonly failures: readonly SimulationReport[]
}

export const NOTHING: Tally = Object.freeze({
  runs: 0,
  violations: 0,
  grants: 0,
  messages: 0,
  writesAccepted: 0,
  writesRefused: 0,
  simulatedMs: 0,
  incidents: {},
  lost: {},
  failures: [],
})

export function withRun(tally: Tally, report: SimulationReport): Tally {
  const writes = report.events.filter(event => event.kind === 'write')
  const accepted = writes.filter(({ outcome }) => outcome === 'accepted').length
  return {
    runs: tally.runs + 1,
    violations: tally.violations + report.violations.length,
    grants: tally.grants + report.grants,
    messages: tally.messages + report.messages,
    writesAccepted: tally.writesAccepted + accepted,
    writesRefused: tally.writesRefused + writes.length - accepted,
    simulatedMs: tally.simulatedMs + report.durationMs,
    incidents: summed(tally.incidents, report.incidents),
    lost: summed(tally.lost, report.lost),
    failures: report.violations.length === 0 ? tally.failures : [...tally.failures, report],
  }
}

function summed(
  one: Readonly<Record<string, number>>,
  other: Readonly<Partial<Record<string, number>>>,
): Readonly<Record<string, number>> {
  const sums = { ...one }
  for (const [key, value] of Object.entries(other)) sums[key] = (sums[key] ?? 0) + (value ?? 0)
  return sums
}
