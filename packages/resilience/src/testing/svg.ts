/** A point of a curve: an x, and a y that may be missing (NaN), where the curve is broken off. */
export type Point = readonly [x: number, y: number]

/** One curve of a panel. */
export interface Curve {
  readonly color: string
  readonly points: readonly Point[]
  readonly isDashed?: boolean
}

/** One set of axes. */
export interface Panel {
  readonly label: string
  readonly yMax: number
  readonly curves: readonly Curve[]
  /** A level worth seeing. */
  readonly mark?: { readonly y: number; readonly label: string }
}

/** What is drawn: panels below each other over one x axis of seconds. */
export interface Figure {
  readonly title: string
  readonly about: readonly string[]
  readonly secondsMax: number
  readonly panels: readonly Panel[]
  readonly legend: readonly { readonly name: string; readonly color: string }[]
}

const WIDTH = 860
const LEFT = 64
const RIGHT = 24
const PANEL_HEIGHT = 170
const PANEL_GAP = 52
const LEGEND_WIDTH = 165
const INK = '#222'
const GREY = '#666'
const LINE = '#d9dade'
const PAPER = '#fdfdfb'

/** The figure as SVG text, the same for the same numbers. */
export function drawn({ title, about, secondsMax, panels, legend }: Figure): string {
  const parts = [text(24, 32, title, `font-size="17" font-weight="bold"`)]
  let y = 52
  for (const line of about) {
    parts.push(text(24, y, line, `font-size="11" fill="${GREY}"`))
    y += 16
  }
  for (const [index, { name, color }] of legend.entries()) {
    const x = 24 + (index % 5) * LEGEND_WIDTH
    const row = y + 8 + Math.floor(index / 5) * 18
    parts.push(`<rect x="${x}" y="${row}" width="14" height="4" fill="${color}"/>`, text(x + 20, row + 6, name))
  }
  y += 34 + Math.floor((legend.length - 1) / 5) * 18
  for (const panel of panels) {
    parts.push(...drawnPanel(panel, y, secondsMax))
    y += PANEL_HEIGHT + PANEL_GAP
  }
  parts.push(text(WIDTH - RIGHT, y - PANEL_GAP + 34, 'seconds', `font-size="11" fill="${GREY}" text-anchor="end"`))
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" font-family="system-ui, sans-serif" font-size="12" fill="${INK}" role="img">`
  return [
    open,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="${PAPER}"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function drawnPanel({ label, yMax, curves, mark }: Panel, top: number, secondsMax: number): readonly string[] {
  const bottom = top + PANEL_HEIGHT
  const xOf = (seconds: number): number => LEFT + (seconds / secondsMax) * (WIDTH - LEFT - RIGHT)
  // What is above the panel is drawn along its edge.
  const yOf = (value: number): number => bottom - (Math.min(value, yMax) / yMax) * PANEL_HEIGHT
  const parts = [text(24, top - 8, label, 'font-weight="bold"')]
  for (let step = 0; step <= 4; step++) {
    const value = (yMax * step) / 4
    parts.push(line(LEFT, yOf(value), WIDTH - RIGHT, yOf(value), `stroke="${LINE}"`))
    parts.push(text(LEFT - 6, yOf(value) + 4, shown(value), `font-size="11" fill="${GREY}" text-anchor="end"`))
  }
  for (let step = 0; step <= 8; step++) {
    const seconds = (secondsMax * step) / 8
    parts.push(text(xOf(seconds), bottom + 16, shown(seconds), `font-size="11" fill="${GREY}" text-anchor="middle"`))
  }
  if (mark !== undefined) {
    const y = yOf(mark.y)
    parts.push(line(LEFT, y, WIDTH - RIGHT, y, `stroke="${INK}" stroke-dasharray="2 3"`))
    parts.push(text(WIDTH - RIGHT, y - 4, mark.label, `font-size="11" text-anchor="end"`))
  }
  for (const { color, points, isDashed = false } of curves) {
    const d = pathOf(points.map(([x, y]) => [xOf(x), yOf(y)]))
    const dash = isDashed ? ' stroke-dasharray="5 4"' : ''
    parts.push(`<path d="${d}" fill="none" stroke="${color}" stroke-width="1.8"${dash}/>`)
  }
  return parts
}

function pathOf(points: readonly Point[]): string {
  let isOpen = false
  const steps: string[] = []
  for (const [x, y] of points) {
    if (Number.isNaN(y)) isOpen = false
    else {
      steps.push(`${isOpen ? 'L' : 'M'}${px(x)} ${px(y)}`)
      isOpen = true
    }
  }
  return steps.join('')
}

function line(x1: number, y1: number, x2: number, y2: number, look: string): string {
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" ${look}/>`
}

function text(x: number, y: number, content: string, look = ''): string {
  return `<text x="${px(x)}" y="${px(y)}"${look === '' ? '' : ` ${look}`}>${escaped(content)}</text>`
}

function shown(value: number): string {
  return String(Math.round(value * 100) / 100)
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
