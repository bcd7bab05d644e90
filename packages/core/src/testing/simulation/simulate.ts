import { InvalidArgumentError } from '../../errors.ts'
import { show } from '../../names.ts'
import { checkGivenKeys } from '../../options.ts'
import type { SimulationEvent } from './events.ts'
import type { SimulatedFault } from './faults.ts'
import { ALL_FAULTS, STANDARD_FAULTS } from './faults.ts'
import type { SimulatedProcess } from './process.ts'
import type { SimulationReport } from './report.ts'
import { SimulatedWorld } from './world.ts'

/** What is simulated. */
export interface SimulationOptions {
  /** Decides everything that is chance: an integer from 0 to 4,294,967,295. */
  readonly seed: number
  /** How many processes there are: 1 to 100. @default 3 */
  readonly processes?: number
  /** What may go wrong; which of it does in this run, and how often, is the seed's. @default STANDARD_FAULTS */
  readonly faults?: readonly SimulatedFault[]
  /** For how long faults begin, in simulated milliseconds: 0 to 3,600,000. @default 20000 */
  readonly faultsForMs?: number
  /** How long processes may take after the last fault, in simulated milliseconds: 1 to 3,600,000. @default 120000 */
  readonly settleMs?: number
  /**
   * What each process does; it is called again for one that died and was started again. Errors of Holdfast are taken as what can
   * happen to it, and counted; any other, and `HF_INVALID_ARGUMENT`, is a violation. Await all that you begin.
   */
  readonly run: (process: SimulatedProcess) => Promise<void>
  /** Looks at the history, and answers what is wrong with it, a sentence each. @default nothing */
  readonly check?: (events: readonly SimulationEvent[]) => readonly string[]
}

const DEFAULTS: Required<Pick<SimulationOptions, 'processes' | 'faults' | 'faultsForMs' | 'settleMs'>> = Object.freeze({
  processes: 3,
  faults: STANDARD_FAULTS,
  faultsForMs: 20_000,
  settleMs: 120_000,
})

const KNOWN: ReadonlySet<string> = new Set(['seed', 'run', 'check', ...Object.keys(DEFAULTS)])
const SEED_MAX = 4_294_967_295
const SPAN_MS_MAX = 3_600_000

/**
 * Runs processes that share locks, in simulated time, on one simulated store and network, and lets go wrong what the seed says. The
 * clients' code is the real one: how they ask, wait, renew and release. The same seed and the same code give the same history.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  checkOptions(options)
  const { seed, run, check } = options
  const processes = options.processes ?? DEFAULTS.processes
  const faults = options.faults ?? DEFAULTS.faults
  const faultsForMs = options.faultsForMs ?? DEFAULTS.faultsForMs
  const settleMs = options.settleMs ?? DEFAULTS.settleMs
  const world = new SimulatedWorld({ seed, processes, faults, faultsForMs, settleMs, run })
  return await world.play(check)
}

function checkOptions(options: SimulationOptions): void {
  checkGivenKeys('simulate', options, KNOWN)
  const { seed, processes, faults, faultsForMs, settleMs, run, check } = options
  checkInteger('seed', seed, { min: 0, max: SEED_MAX })
  if (processes !== undefined) checkInteger('processes', processes, { min: 1, max: 100 })
  if (faultsForMs !== undefined) checkInteger('faultsForMs', faultsForMs, { min: 0, max: SPAN_MS_MAX })
  if (settleMs !== undefined) checkInteger('settleMs', settleMs, { min: 1, max: SPAN_MS_MAX })
  if (typeof run !== 'function') {
    throw new InvalidArgumentError('run', `Expected \`run\` to be a function, got ${show(run)}.`)
  }
  if (check !== undefined && typeof check !== 'function') {
    throw new InvalidArgumentError('check', `Expected \`check\` to be a function, got ${show(check)}.`)
  }
  if (faults !== undefined) checkFaults(faults)
}

function checkFaults(faults: unknown): void {
  const names: readonly unknown[] = ALL_FAULTS
  const unknown: unknown = Array.isArray(faults) ? faults.find(fault => !names.includes(fault)) : faults
  if (unknown === undefined) return
  throw new InvalidArgumentError(
    'faults',
    `Expected \`faults\` to be some of ${ALL_FAULTS.join(', ')}, got ${show(unknown)}.`,
  )
}

function checkInteger(name: string, value: number, { min, max }: { readonly min: number; readonly max: number }): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new InvalidArgumentError(
    name,
    `Expected \`${name}\` to be an integer from ${min} to ${max}, got ${show(value)}.`,
  )
}
