import type { Bounds, Measured } from './row.ts'

/** How a suite is run. */
export interface RunSettings {
  /** Every measure in tiny size: shows that it works, measures nothing. */
  readonly isSmoke: boolean
  /** Says on stderr what goes on. */
  readonly say: (text: string) => void
}

/** Something that is measured; it may give several rows, `name` and `name:detail`. */
export interface Measure<Servers> {
  readonly name: string
  run(servers: Servers, settings: RunSettings): Promise<readonly Measured[]>
}

/** Measures that are run together. */
export interface Suite {
  readonly name: string
  /** Names of its measures, in order of running. */
  readonly measures: readonly string[]
  readonly bounds: Bounds
  /** Packages whose versions are kept with the figures. */
  readonly packages: readonly string[]
  /** Runs the measures of these names, and leaves nothing running. A measure that breaks does not stop the others. */
  run(names: readonly string[], settings: RunSettings, report: SuiteReport): Promise<void>
}

/** Who hears of what a suite measured. */
export interface SuiteReport {
  measured(measured: Measured): void
  broke(measure: string, error: unknown): void
}
