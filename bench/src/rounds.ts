import { median } from './statistics.ts'

/** Somebody whose figures are taken, round by round. */
export interface Runner<T> {
  readonly name: string
  run(): Promise<T>
}

/** What each runner gave, by name: one a round, in order of the rounds. */
export type RoundResults<T> = ReadonlyMap<string, readonly T[]>

/**
 * Runs everybody once a round, so that what the machine's other work does to one it does to all. The first two are those whose
 * ratio matters: they run back to back, and who is first alternates, as does the order of the rest.
 */
export async function runInterleaved<T>(runners: readonly Runner<T>[], rounds: number): Promise<RoundResults<T>> {
  const results = new Map(runners.map(({ name }) => [name, [] as T[]]))
  for (let round = 0; round < rounds; round += 1) {
    for (const runner of orderOf(runners, round)) results.get(runner.name)?.push(await runner.run())
  }
  return results
}

function orderOf<T>(runners: readonly Runner<T>[], round: number): readonly Runner<T>[] {
  if (round % 2 === 0) return runners
  return [...runners.slice(0, 2).toReversed(), ...runners.slice(2).toReversed()]
}

/** The median figure of each, leaving out rounds (and runners) that have none. */
export function mediansOf<T>(results: RoundResults<T>, figure: (result: T) => number): Map<string, number> {
  const medians = new Map<string, number>()
  for (const [name, rounds] of results) {
    const value = median(rounds.map(figure).filter(Number.isFinite))
    if (Number.isFinite(value)) medians.set(name, value)
  }
  return medians
}

/** The ratio of two runners in each round, leaving out rounds in which either has no figure. */
export function ratiosOf<T>(
  results: RoundResults<T>,
  pair: { readonly of: string; readonly to: string },
  figure: (result: T) => number,
): number[] {
  const base = results.get(pair.to) ?? []
  const ratios = (results.get(pair.of) ?? []).map((result, round) => {
    const other = base[round]
    return other === undefined ? NaN : figure(result) / figure(other)
  })
  return ratios.filter(Number.isFinite)
}
