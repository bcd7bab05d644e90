import type { Bound, Row } from './row.ts'
import { rounded } from './row.ts'

/** Whether a row reached its bound, and a phrase that says so. */
export interface Verdict {
  readonly kind: 'reached' | 'missed' | 'informative'
  readonly text: string
}

/** Compares a row with its bound. Nothing fails by it: timings on shared machines are no assertions. */
export function judge(row: Row, bound: Bound | undefined): Verdict {
  if (bound === undefined) return { kind: 'informative', text: 'no bound' }
  const value = bound.on === 'ratio' ? row.ratio : row.ours
  const isReached = value !== null && ('max' in bound ? value <= bound.max : value >= bound.min)
  const aim = 'aim' in bound && bound.aim !== undefined ? `, aim ${bound.aim}` : ''
  const wanted = 'max' in bound ? `<= ${bound.max}` : `>= ${bound.min}${aim}`
  return {
    kind: isReached ? 'reached' : 'missed',
    text: `${value === null ? 'none' : rounded(value)} (wanted ${wanted})`,
  }
}
