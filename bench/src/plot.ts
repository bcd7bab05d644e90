import { shown } from './report.ts'
import type { Bound, Measured, Row } from './row.ts'
import type { Suite } from './suite.ts'
import { Svg } from './svg.ts'
import { judge } from './verdict.ts'

const WIDTH = 860
const MARGIN = 24
const BARS_X = 190
const BARS_WIDTH = WIDTH - BARS_X - 110
const BAR = 13
const ROW_HEIGHT = 18
const COLORS = { ours: '#1f6f8b', reference: '#8a8f98', peer: '#c9ccd1', bound: '#c0392b' } as const
const GREY = '#666'

/** Bars of the ratios, each beside its floor with its bound marked; below them what is bounded absolutely. */
export function plotOf(suite: Suite, all: readonly Measured[], about: readonly string[]): string {
  const svg = new Svg(WIDTH)
  const title = `Bench suite “${suite.name}”: ratio to the floor of the same server, in the same run`
  svg.text({ x: MARGIN, y: 34 }, title, { size: 17, weight: 'bold' })
  let y = 54
  for (const line of [...about, 'Dotted: the floor. Red: the bound for ours. Medians of interleaved rounds.']) {
    svg.text({ x: MARGIN, y }, line, { size: 11, color: GREY })
    y += 16
  }
  const rows = all.map(({ row }) => row)
  for (const row of rows.filter(({ ratio }) => ratio !== null)) y = drawRatios(svg, y, row, suite.bounds[row.name])
  y = drawAbsolute(
    svg,
    y + 12,
    rows.filter(({ ratio }) => ratio === null),
    suite,
  )
  return svg.toString(title, y + MARGIN)
}

function drawRatios(svg: Svg, top: number, row: Row, bound: Bound | undefined): number {
  const bars = ratiosOf(row)
  const limit = bound === undefined ? undefined : boundValue(bound)
  // Whoever is far off is cut, so that the bound stays readable.
  const max = Math.min(
    Math.max(1, limit ?? 0, ...bars.map(({ ratio }) => ratio)) * 1.1,
    2.5 * Math.max(1, limit ?? 1, row.ratio ?? 1),
  )
  const xOf = (ratio: number): number => BARS_X + (Math.min(ratio, max) / max) * BARS_WIDTH
  const verdict = judge(row, bound)
  svg.text({ x: MARGIN, y: top + 20 }, row.name, { size: 13, weight: 'bold' })
  svg.text({ x: WIDTH - MARGIN, y: top + 20 }, `${row.better} is better · ${verdict.kind}: ${verdict.text}`, {
    size: 11,
    color: verdict.kind === 'missed' ? COLORS.bound : GREY,
    anchor: 'end',
  })
  let y = top + 28
  for (const { name, ratio } of bars) {
    svg.text({ x: BARS_X - 8, y: y + 11 }, name, { anchor: 'end', weight: name === 'ours' ? 'bold' : 'normal' })
    svg.rect({ x: BARS_X, y, width: xOf(ratio) - BARS_X, height: BAR }, colorOf(name, row))
    y += ROW_HEIGHT
  }
  const mark = (ratio: number, style: string): void => {
    svg.line({ x: xOf(ratio), y: top + 25 }, { x: xOf(ratio), y: y - 2 }, style)
  }
  mark(1, 'stroke="#444" stroke-width="1" stroke-dasharray="2 3"')
  if (limit !== undefined) mark(limit, `stroke="${COLORS.bound}" stroke-width="1.5"`)
  for (const [index, { ratio }] of bars.entries()) {
    const at = { x: xOf(ratio) + 5, y: top + 28 + index * ROW_HEIGHT + 11 }
    svg.text(at, `${shown(ratio)}${ratio > max ? ' →' : ''}`, { size: 11, color: GREY })
  }
  return y + 10
}

function ratiosOf(row: Row): readonly { readonly name: string; readonly ratio: number }[] {
  const base = row.reference === null ? 1 : (row.peers[row.reference] ?? 1)
  const peers = Object.entries(row.peers).map(([name, value]) => ({ name, ratio: value / base }))
  return [{ name: 'ours', ratio: row.ratio ?? 0 }, ...peers]
}

function colorOf(name: string, row: Row): string {
  if (name === 'ours') return COLORS.ours
  return name === row.reference ? COLORS.reference : COLORS.peer
}

function drawAbsolute(svg: Svg, top: number, rows: readonly Row[], suite: Suite): number {
  if (rows.length === 0) return top
  svg.text({ x: MARGIN, y: top + 16 }, 'Absolute figures', { size: 13, weight: 'bold' })
  let y = top + 38
  for (const row of rows) {
    const verdict = judge(row, suite.bounds[row.name])
    const peers = Object.entries(row.peers).map(([name, value]) => `${name} ${shown(value)}`)
    const color = verdict.kind === 'missed' ? COLORS.bound : '#222'
    svg.text({ x: MARGIN, y }, `${row.name}, ${row.unit}`)
    svg.text({ x: WIDTH - MARGIN, y }, `ours ${verdict.text}`, { weight: 'bold', color, anchor: 'end' })
    svg.text({ x: MARGIN + 12, y: y + 15 }, peers.join(' · '), { size: 11, color: GREY })
    y += 38
  }
  return y - 20
}

function boundValue(bound: Bound): number {
  return 'max' in bound ? bound.max : bound.min
}
