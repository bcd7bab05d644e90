import type { Lane, LaneState, Mark } from '../account.ts'
import type { Paint, Style } from './paint.ts'

/** Which piece of time a lane shows: `columns` cells of `cellMs` from `fromMs` on; what is after `nowMs` is blank. */
export interface Window {
  readonly fromMs: number
  readonly nowMs: number
  readonly cellMs: number
  readonly columns: number
}

interface Cell {
  readonly glyph: string
  readonly style: Style | undefined
}

const BLANK: Cell = { glyph: ' ', style: undefined }
// How much of a cell's time the lock was held.
const LEVELS = '▁▂▃▄▅▆▇█'

const MARKS: Readonly<Record<Mark, Cell>> = {
  refused: { glyph: '✗', style: 'alarm' },
  overwrote: { glyph: '!', style: 'alarm' },
  killed: { glyph: '†', style: 'alarm' },
}

// What shows when several states share a cell: the first of these.
const LOOKS: readonly (readonly [LaneState, Cell])[] = [
  ['stopped', { glyph: '▓', style: 'yellow' }],
  ['lapsed', { glyph: '░', style: 'yellow' }],
  ['late', { glyph: '▒', style: 'red' }],
  ['waiting', { glyph: '·', style: 'dim' }],
]

/** A worker's lane as text, exactly `columns` wide. */
export function laneText(lane: Lane, window: Window, paint: Paint): string {
  const cells = Array.from({ length: window.columns }, (_, column) => cellAt(lane, window, column))
  return inRuns(cells)
    .map(({ text, style }) => (style === undefined ? text : paint(style, text)))
    .join('')
}

function cellAt(lane: Lane, window: Window, column: number): Cell {
  const fromMs = window.fromMs + column * window.cellMs
  const toMs = Math.min(fromMs + window.cellMs, window.nowMs)
  if (toMs <= fromMs) return BLANK
  const mark = lane.marks.find(({ atMs }) => atMs >= fromMs && atMs < fromMs + window.cellMs)
  if (mark !== undefined) return MARKS[mark.mark]
  const shares = timeByState(lane, fromMs, toMs)
  for (const state of ['stopped', 'lapsed', 'late'] as const) if (shares.has(state)) return lookOf(state)
  const held = shares.get('holding') ?? 0
  if (held > 0)
    return {
      glyph: LEVELS[Math.min(LEVELS.length - 1, Math.floor((held / window.cellMs) * LEVELS.length))] ?? '',
      style: 'green',
    }
  return shares.has('waiting') ? lookOf('waiting') : BLANK
}

function timeByState(lane: Lane, fromMs: number, toMs: number): ReadonlyMap<LaneState, number> {
  const shares = new Map<LaneState, number>()
  // Backwards, as it is most often the latest that is looked at.
  for (let index = lane.spans.length - 1, endMs = Infinity; index >= 0; index--) {
    const span = lane.spans[index]
    if (span === undefined || endMs <= fromMs) break
    const overlapMs = Math.min(endMs, toMs) - Math.max(span.fromMs, fromMs)
    if (overlapMs > 0) shares.set(span.state, (shares.get(span.state) ?? 0) + overlapMs)
    endMs = span.fromMs
  }
  return shares
}

function lookOf(state: LaneState): Cell {
  return LOOKS.find(([looked]) => looked === state)?.[1] ?? BLANK
}

// Neighbours of one style are painted together: a tenth of the bytes.
function inRuns(cells: readonly Cell[]): { text: string; readonly style: Style | undefined }[] {
  const runs: { text: string; readonly style: Style | undefined }[] = []
  for (const { glyph, style } of cells) {
    const run = runs.at(-1)
    if (run !== undefined && run.style === style) run.text += glyph
    else runs.push({ text: glyph, style })
  }
  return runs
}
