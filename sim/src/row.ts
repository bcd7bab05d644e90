/** One simulation and what came of it: a line of `--json`. */
export interface Row {
  readonly suite: string
  readonly case: string
  readonly shape: string
  readonly seed: number
  /** Calls answered within the deadline, as a part of what could be, in [0, 1] and a little above by chance. */
  readonly goodput: number
  /** 99th percentile of the latency of answered calls, in mean service times; null where it is not what the case is about. */
  readonly p99: number | null
  /** Calls refused, as a part of all that came. */
  readonly refused: number
  /** What must hold, for a reader. */
  readonly bound: string
  /** What does not hold: empty when all is well. */
  readonly violations: readonly string[]
}

/** One simulation that can be run. */
export interface Task {
  readonly case: string
  readonly shape: string
  readonly seed: number
  run(): Promise<Row>
}

/** A set of simulations under one name. */
export interface Suite {
  readonly name: string
  readonly about: string
  tasks(seeds: readonly number[]): readonly Task[]
}

/** What was measured must keep to. */
export interface Bound {
  readonly text: string
  readonly isKept: boolean
}

/** A row, with those of its bounds that are not kept as violations. */
export function rowOf(facts: Omit<Row, 'bound' | 'violations'>, bounds: readonly Bound[]): Row {
  return {
    ...facts,
    goodput: rounded(facts.goodput),
    p99: facts.p99 === null || Number.isNaN(facts.p99) ? null : rounded(facts.p99),
    refused: rounded(facts.refused),
    bound: bounds.map(({ text }) => text).join(', '),
    violations: bounds.filter(({ isKept }) => !isKept).map(({ text }) => `expected ${text}`),
  }
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
