import type { Attributes } from '@opentelemetry/api'

/** Which time series a lock belongs to. */
export interface SeriesKey {
  readonly backend: string
  readonly mode: string
  readonly label: string | undefined
}

/** One of them: its attributes, made once, and what of it is under way. */
export interface Series {
  readonly attributes: Attributes
  waiting: number
  held: number
}

/** All that were ever seen: as many as the labels that the user maps names to, which the SDK keeps as well. */
export class SeriesTable implements Iterable<Series> {
  readonly #series = new Map<string, Series>()

  of({ backend, mode, label }: SeriesKey): Series {
    const key = `${backend}\n${mode}\n${label === undefined ? '' : `=${label}`}`
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const common = { 'holdfast.backend': backend, 'holdfast.lock.mode': mode }
    const attributes = label === undefined ? common : { ...common, 'holdfast.lock.resource': label }
    const series = { attributes: Object.freeze(attributes), waiting: 0, held: 0 }
    this.#series.set(key, series)
    return series
  }

  [Symbol.iterator](): Iterator<Series> {
    return this.#series.values()
  }
}
