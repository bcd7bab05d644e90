import type { Bounds, Figures, Measured, Row } from './row.ts'
import { limitOf, rounded } from './row.ts'
import type { RoundResults } from './rounds.ts'
import { mediansOf, ratiosOf } from './rounds.ts'
import { median } from './statistics.ts'

/** What a row is of. */
export interface RowSubject {
  readonly name: string
  readonly unit: string
  readonly better: Row['better']
}

/** Makes the rows of one suite. */
export class Rows {
  readonly #suite: string
  readonly #bounds: Bounds

  constructor(suite: string, bounds: Bounds) {
    this.#suite = suite
    this.#bounds = bounds
  }

  /** A row of speeds or times: medians over the rounds, and the ratio of ours to the reference's. */
  compared<T>(
    subject: RowSubject,
    results: RoundResults<T>,
    by: { readonly reference: string; readonly figure: (result: T) => number },
  ): Measured {
    const ratios = ratiosOf(results, { of: 'ours', to: by.reference }, by.figure)
    const row = this.#row(subject, mediansOf(results, by.figure))
    const ratio = ratios.length === 0 ? null : rounded(median(ratios))
    return { row: { ...row, reference: by.reference, ratio }, ratios, details: {} }
  }

  /** A row of ratios to the reference, whose own is 1 therefore; the bound is on the ratio, so `limit` names it. */
  ratios<T>(
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
    const row = this.#row({ ...subject, unit: 'ratio' }, figures)
    return { row: { ...row, reference: by.reference, ratio: row.ours }, ratios: ratios.get('ours') ?? [], details: {} }
  }

  /** A row whose bound is absolute. */
  absolute(subject: RowSubject, figures: ReadonlyMap<string, number>): Measured {
    return { row: this.#row(subject, figures), ratios: [], details: {} }
  }

  #row(subject: RowSubject, figures: ReadonlyMap<string, number>): Row {
    const ours = figures.get('ours')
    if (ours === undefined) throw new Error(`There is no figure of ours for ${subject.name}.`)
    const { ours: _, ...peers } = figuresOf(figures)
    return {
      suite: this.#suite,
      ...subject,
      ours: rounded(ours),
      peers,
      reference: null,
      ratio: null,
      limit: limitOf(this.#bounds[subject.name]),
    }
  }
}

/** Figures as an object, rounded. */
export function figuresOf(figures: ReadonlyMap<string, number>): Figures {
  return Object.fromEntries([...figures].map(([name, value]) => [name, rounded(value)]))
}
