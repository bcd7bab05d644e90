import type { Row } from './row.ts'

const HEADERS = ['case', 'shape', 'seed', 'goodput', 'p99', 'refused', 'bound', ''] as const

/** The rows for a person. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(row => [
    row.case,
    row.shape,
    String(row.seed),
    percent(row.goodput),
    row.p99 === null ? '-' : `${row.p99.toFixed(1)}x`,
    percent(row.refused),
    row.bound,
    row.violations.length === 0 ? 'ok' : 'VIOLATED',
  ])
  const widths = HEADERS.map((header, column) =>
    Math.max(header.length, ...lines.map(cells => (cells[column] as string).length)),
  )
  return [HEADERS, ...lines]
    .map(cells =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** One line under the table. */
export function verdict(rows: readonly Row[]): string {
  const bad = rows.filter(({ violations }) => violations.length > 0)
  if (bad.length === 0) return `${rows.length} simulations, all bounds hold.`
  const names = bad.map(row => `${row.case} ${row.shape} seed ${row.seed}: ${row.violations.join(', ')}`)
  return [`${bad.length} of ${rows.length} simulations are out of bounds:`, ...names].join('\n  ')
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`
}
