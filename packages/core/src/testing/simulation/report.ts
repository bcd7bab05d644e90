import type { LeaseLostReason } from '../../errors.ts'
import type { SimulationViolation } from './checks.ts'
import type { SimulationEvent } from './events.ts'
import type { SimulatedFault } from './faults.ts'

/** What came of a simulation. */
export interface SimulationReport {
  readonly seed: number
  readonly violations: readonly SimulationViolation[]
  /** What happened, in order (`describeEvents` has it as text). */
  readonly events: readonly SimulationEvent[]
  /** Of the text of `events`: the same seed and the same code have the same. */
  readonly hash: string
  /** `lease`: the store may not have forgotten anything in this run, so valid leases must not overlap. */
  readonly guarantee: 'advisory' | 'lease'
  readonly grants: number
  /** Leases that were lost, by cause. */
  readonly lost: Readonly<Partial<Record<LeaseLostReason, number>>>
  /** What went wrong, and how often. */
  readonly incidents: Readonly<Partial<Record<SimulatedFault, number>>>
  /** Errors that ended a `run`, by code. */
  readonly errors: Readonly<Record<string, number>>
  /** How long it was, in simulated milliseconds. */
  readonly durationMs: number
  readonly messages: number
}
