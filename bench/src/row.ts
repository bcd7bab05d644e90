/** One figure and what it is compared with, as `--json` prints it. */
export interface Row {
  readonly suite: string
  readonly name: string
  /** Of `ours` and of every peer. */
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly ours: number
  readonly peers: Readonly<Record<string, number>>
  /** The peer that `ratio` is taken against; null where the bound is absolute. */
  readonly reference: string | null
  /** Ours / the reference's, taken within a round: the median over the rounds. */
  readonly ratio: number | null
  /** The bound on `ours`; null where the bound is on a ratio of speeds, or where there is none. */
  readonly limit: number | null
}

/** A row and what it was made of. */
export interface Measured {
  readonly row: Row
  /** The ratio of each round, in order of running; empty where there is none. */
  readonly ratios: readonly number[]
  /** Further figures of ours and of the peers, such as `gap p50 ms`; for people. */
  readonly details: Readonly<Record<string, Figures>>
}

/** Figures by contestant. */
export type Figures = Readonly<Record<string, number>>

/** What a row must reach. */
export type Bound =
  | { readonly on: 'ratio'; readonly min: number; readonly aim?: number }
  | { readonly on: 'ratio'; readonly max: number }
  | { readonly on: 'ours'; readonly min: number }
  | { readonly on: 'ours'; readonly max: number }

/** Bounds by the names of rows; a row without one is shown for information. */
export type Bounds = Readonly<Record<string, Bound>>

/** The figure that a bound on `ours` names. */
export function limitOf(bound: Bound | undefined): number | null {
  if (bound === undefined || bound.on === 'ratio') return null
  return 'max' in bound ? bound.max : bound.min
}

/** Rounded for people and for JSON: four significant digits. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
