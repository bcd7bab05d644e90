import type { Figures, Measured, Row } from './row.ts'
import type { Suite } from './suite.ts'
import type { Verdict } from './verdict.ts'
import { judge } from './verdict.ts'

const MARKS: Readonly<Record<Verdict['kind'], string>> = { reached: 'reached', missed: 'MISSED', informative: '-' }

/** A row for people: the figures of all, then the ratio, then details. */
export function rowText({ row, ratios, details }: Measured): string {
  const lines = [
    `${row.name}  (${row.unit}, ${row.better} is better)`,
    `    ${figuresText({ ours: row.ours, ...row.peers })}`,
    ...ratioLines(row, ratios),
    ...Object.entries(details).map(([name, figures]) => `    ${name}: ${figuresText(figures)}`),
  ]
  return `${lines.join('\n')}\n`
}

function figuresText(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${shown(value)}`)
    .join(' · ')
}

function ratioLines(row: Row, ratios: readonly number[]): readonly string[] {
  if (row.ratio === null) return []
  const range =
    ratios.length < 2
      ? ''
      : ` (${shown(Math.min(...ratios))} to ${shown(Math.max(...ratios))} in ${ratios.length} rounds)`
  return [`    ratio to ${row.reference} ${shown(row.ratio)}${range}`]
}

/** A verdict a row. */
export function verdictsText(rows: readonly Row[], { bounds }: Suite): string {
  const width = Math.max(...rows.map(({ name }) => name.length))
  const lines = rows.map(row => {
    const { kind, text } = judge(row, bounds[row.name])
    return `${MARKS[kind].padEnd(7)}  ${row.name.padEnd(width)}  ${text}\n`
  })
  return lines.join('')
}

/** A figure in as many digits as mean something. */
export function shown(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
