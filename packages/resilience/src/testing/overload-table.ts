import type { OverloadReport } from './simulate-overload.ts'

const COLUMNS = ['', 'goodput/s', 'of capacity', 'refused', 'late', 'p50', 'p99', 'sent per call'] as const

/** Reports as lines of a table, for a terminal. */
export function overloadTable(reports: Readonly<Record<string, OverloadReport>>): string {
  const rows = Object.entries(reports).map(([name, report]) => [
    name,
    report.goodputPerSecond.toFixed(0),
    percent(report.goodputRatio),
    percent(report.refusedRatio),
    percent(report.late / report.offered),
    ms(report.latency.p50Ms),
    ms(report.latency.p99Ms),
    report.amplification.toFixed(2),
  ])
  const lines = [COLUMNS, ...rows]
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map(cells => (cells[column] ?? '').length)))
  return lines
    .map(cells =>
      cells
        .map((cell, column) => aligned(cell, column, widths))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const LEVELS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/** One report over time, as bars of text: a column is a slice, or several of them where there are more than `columns`. */
export function overloadChart(report: OverloadReport, columns = 72): string {
  const perColumn = Math.ceil(report.timeline.length / columns)
  const groups = Array.from({ length: Math.ceil(report.timeline.length / perColumn) }, (_, index) =>
    report.timeline.slice(index * perColumn, (index + 1) * perColumn),
  )
  const bars = (label: string, max: number, valueOf: (slice: OverloadReport['timeline'][number]) => number): string => {
    const values = groups.map(group => group.reduce((sum, slice) => sum + valueOf(slice), 0) / group.length)
    return `${label.padEnd(9)} ${values.map(value => barOf(value / max)).join('')}`
  }
  const seconds = `${report.durationMs / 1_000} s`
  return [
    bars('goodput', 1, ({ good, capacity }) => good / capacity),
    bars('refused', 1, ({ refused, offered }) => (offered === 0 ? 0 : refused / offered)),
    bars('p99', report.deadlineMs, ({ latency }) => (Number.isNaN(latency.p99Ms) ? 0 : latency.p99Ms)),
    `${' '.repeat(10)}0${seconds.padStart(groups.length - 1)}`,
  ].join('\n')
}

function barOf(ratio: number): string {
  return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, Math.round(ratio * (LEVELS.length - 1))))] as string
}

function aligned(cell: string, column: number, widths: readonly number[]): string {
  const width = widths[column] ?? 0
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`
}

function ms(value: number): string {
  return Number.isNaN(value) ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
