import { median } from './statistics.ts'

/** Somebody whose figures are taken. */
export interface Runner<T> {
  readonly name: string
  /** Runs for this part of a round, 1 = all of it. */
  readonly run: (share: number) => Promise<T>
}

/** What each runner gave, by name: one a round, in order of the rounds. */
export type RoundResults<T> = ReadonlyMap<string, readonly T[]>

/** How rounds are run. */
export interface RoundSettings<T> {
  readonly rounds: number
  /** Into how many turns a round of the pair is cut. */
  readonly slices: number
  /** Makes the result of a round from those of its turns. */
  readonly merge: (turns: readonly T[]) => T
}

/**
 * Runs everybody once a round, so that what the machine's other work does to one it does to all. The first two are those whose
 * ratio matters: they take short turns, and who is first alternates, as does the order of the rest.
 */
export async function runInterleaved<T>(
  [ours, reference, ...peers]: readonly [Runner<T>, Runner<T>, ...Runner<T>[]],
  { rounds, slices, merge }: RoundSettings<T>,
): Promise<RoundResults<T>> {
  const results = new Map([ours, reference, ...peers].map(({ name }) => [name, [] as T[]]))
  for (let round = 0; round < rounds; round += 1) {
    const turns: { readonly name: string; readonly result: T }[] = []
    for (let slice = 0; slice < slices; slice += 1) {
      const pair = (round + slice) % 2 === 0 ? [ours, reference] : [reference, ours]
      for (const { name, run } of pair) turns.push({ name, result: await run(1 / slices) })
    }
    for (const { name } of [ours, reference]) {
      const own = turns.filter(turn => turn.name === name).map(({ result }) => result)
      results.get(name)?.push(merge(own))
    }
    for (const { name, run } of round % 2 === 0 ? peers : peers.toReversed()) results.get(name)?.push(await run(1))
  }
  return results
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
