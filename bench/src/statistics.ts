/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** By linear interpolation between the closest ranks; NaN of nothing. */
export function quantile(values: readonly number[], ratio: number): number {
  if (values.length === 0) return NaN
  const sorted = values.toSorted((a, b) => a - b)
  const at = ratio * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? NaN
  const high = sorted[Math.ceil(at)] ?? NaN
  return low + (high - low) * (at - Math.floor(at))
}

/**
 * Jain's index of fairness: 1 when all got the same, 1/n when one got everything.
 *
 * @see Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination (1984)
 */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? NaN : (sum * sum) / (shares.length * squares)
}
