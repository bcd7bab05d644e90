import type { Figures, Measured, Row } from '../row.ts'
import { limitOf, rounded } from '../row.ts'
import type { RoundResults } from '../rounds.ts'
import { mediansOf, ratiosOf } from '../rounds.ts'
import { median } from '../statistics.ts'
import { BOUNDS } from './bounds.ts'

/** What a row is of. */
export interface RowSubject {
  readonly name: string
  readonly unit: string
  readonly better: Row['better']
}

/** A row of speeds: medians over the rounds, and the ratio of ours to the reference's. */
export function speedRow<T>(
  subject: RowSubject,
  results: RoundResults<T>,
  by: { readonly reference: string; readonly figure: (result: T) => number },
): Measured {
  const ratios = ratiosOf(results, { of: 'ours', to: by.reference }, by.figure)
  const row = rowOf(subject, mediansOf(results, by.figure))
  const ratio = ratios.length === 0 ? null : rounded(median(ratios))
  return { row: { ...row, reference: by.reference, ratio }, ratios, details: {} }
}

/** A row of ratios to the reference, whose own is 1 therefore; the bound is on the ratio, so `limit` names it. */
export function ratioRow<T>(
  subject: Omit<RowSubject, 'unit'>,
  results: RoundResults<T>,
  by: { readonly reference: string; readonly figure: (result: T) => number },
): Measured {
  const ratios = new Map(
    [...results.keys()].map(name => [name, ratiosOf(results, { of: name, to: by.reference }, by.figure)]),
  )
  const figures = new Map<string, number>()
  for (const [name, values] of ratios) {
    if (values.length > 0) figures.set(name, median(values))
  }
  const row = rowOf({ ...subject, unit: 'ratio' }, figures)
  return { row: { ...row, reference: by.reference, ratio: row.ours }, ratios: ratios.get('ours') ?? [], details: {} }
}

/** A row whose bound is absolute. */
export function absoluteRow(subject: RowSubject, figures: ReadonlyMap<string, number>): Measured {
  return { row: rowOf(subject, figures), ratios: [], details: {} }
}

function rowOf(subject: RowSubject, figures: ReadonlyMap<string, number>): Row {
  const ours = figures.get('ours')
  if (ours === undefined) throw new Error(`There is no figure of ours for ${subject.name}.`)
  const { ours: _, ...peers } = figuresOf(figures)
  return {
    suite: 'lock',
    ...subject,
    ours: rounded(ours),
    peers,
    reference: null,
    ratio: null,
    limit: limitOf(BOUNDS[subject.name]),
  }
}

/** Figures as an object, rounded. */
export function figuresOf(figures: ReadonlyMap<string, number>): Figures {
  return Object.fromEntries([...figures].map(([name, value]) => [name, rounded(value)]))
}
