import type { Row, Task } from './row.ts'
import { isGood } from './row.ts'
import type { Audience } from './schedule.ts'

/** An object a line, and nothing else. */
export function jsonReport(): Audience {
  return { began: () => {}, ended: row => process.stdout.write(`${JSON.stringify(row)}\n`) }
}

/** What begins and what ends, for people. */
export function plainReport(): Audience {
  return {
    began: task => process.stdout.write(`      ${nameOf(task)} …\n`),
    ended: (row, tookMs) =>
      process.stdout.write(`${verdictOf(row)} ${row.scenario} on ${row.backend} in ${(tookMs / 1_000).toFixed(1)} s\n`),
  }
}

/** All rows under each other. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(row => [
    row.scenario,
    row.backend,
    String(row.runs),
    String(row.violations),
    row.control === null ? '-' : String(row.control.violations),
    verdictOf(row).trim(),
    detailOf(row),
  ])
  const all = [['scenario', 'backend', 'runs', 'violations', 'in control', 'verdict', 'detail'], ...cells]
  const widths = [0, 1, 2, 3, 4, 5].map(column => Math.max(...all.map(line => line[column]?.length ?? 0)))
  return all
    .map(line =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** One line under the table: what its columns mean. */
export const legend: string =
  'in control: violations without the protection, must be > 0. detail: Ms = milliseconds; Max and Min of all runs, bound = the limit, other numbers summed.'

function nameOf({ scenario, backend, runs }: Task): string {
  return `${scenario.name} on ${backend}, ${runs === 1 ? '1 run' : `${runs} runs`} and a control`
}

function verdictOf(row: Row): string {
  return isGood(row) ? 'ok   ' : 'FAIL '
}

function detailOf(row: Row): string {
  return Object.entries(row.detail)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
