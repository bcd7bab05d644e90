import type { Backend } from '../../backend.ts'
import type { Clock } from '../../clock.ts'
import type { Random } from '../../random.ts'
import type { SimulatedRegister } from './register.ts'

/** One of the processes of a simulation. Its time, chance and messages are the simulation's: code that takes others is not simulated. */
export interface SimulatedProcess {
  /** `p1`; started again after it died, `p1.2`. */
  readonly name: string
  /** From 0. */
  readonly index: number
  /** A client of the simulated store. It has leases of every mode, and nothing else; it is closed at the end. */
  readonly backend: Backend
  /** This process's own, which is not quite right. */
  readonly clock: Clock
  readonly random: Random
  /** A number that all processes share; each call is a view of its own. */
  register(name: string): SimulatedRegister
  /** By its own clock. */
  sleep(ms: number): Promise<void>
  /** Writes something into the history. */
  record(what: string): void
}
