import type { Account, Lane, LaneState } from '../account.ts'
import { stateOf } from '../account.ts'
import { percentile } from '../percentile.ts'
import { laneText } from './lane-cells.ts'
import { cut, lineText } from './line-text.ts'
import type { Paint, Style } from './paint.ts'

/** How the picture is to be drawn. */
export interface Frame {
  readonly title: string
  readonly stock: number
  readonly columns: number
  readonly rows: number
  readonly nowMs: number
  /** The last picture shows the whole story, not only what was last. */
  readonly isOver: boolean
  readonly paint: Paint
}

const CELL_MS = 100
const LABEL_COLUMNS = 15
const STATUS_COLUMNS = 22
const LANE_COLUMNS_MIN = 10
/** All rows but the lanes and the news. */
const FIXED_ROWS = 8
const NEWS_ROWS_MAX = 7

/** How small a terminal can be. */
export function pictureFits(size: { readonly columns: number; readonly rows: number }, workers: number): boolean {
  return size.columns > LABEL_COLUMNS + LANE_COLUMNS_MIN + STATUS_COLUMNS && size.rows > FIXED_ROWS + workers + 1
}

/** The state of the sale at one moment. Each line is narrower than the terminal, and all together are lower. */
export function picture(account: Account, frame: Frame): string[] {
  // A terminal that is filled to its last column or row may scroll or wrap.
  const columns = frame.columns - 1
  return [
    titleLine(account, frame, columns),
    '',
    stockLine(account, frame, columns),
    '',
    ...laneLines(account, frame, columns),
    '',
    figuresLine(account, frame, columns),
    latestSale(account, frame, columns),
    ...news(account, frame, columns),
  ]
}

function titleLine(account: Account, { title, nowMs, paint }: Frame, columns: number): string {
  const clock = account.startedMs === undefined ? '' : `${((nowMs - account.startedMs) / 1_000).toFixed(1)} s`
  const room = columns - clock.length - 2
  return ` ${paint('bold', cut(title, room).padEnd(room))} ${clock}`
}

function stockLine({ left, sold }: Account, { stock, paint }: Frame, columns: number): string {
  const oversold = sold - stock
  const text =
    oversold > 0 ? `${sold} sold of ${stock}: ${oversold} OVERSOLD` : `${left} of ${stock} left, ${sold} sold`
  const isWrong = left + sold !== stock
  const room = Math.max(0, columns - STATUS_COLUMNS - 16)
  const full = Math.round((Math.min(left, stock) / stock) * room)
  const bar = paint('cyan', '█'.repeat(full)) + paint('dim', '░'.repeat(room - full))
  const width = STATUS_COLUMNS + 6
  return ` stock   ${bar} ${isWrong ? paint('red', cut(text, width)) : cut(text, width)}`
}

function laneLines(account: Account, frame: Frame, columns: number): string[] {
  const laneColumns = columns - LABEL_COLUMNS - STATUS_COLUMNS
  const startedMs = account.startedMs ?? frame.nowMs
  const window = { ...windowOf(frame, startedMs, laneColumns), nowMs: frame.nowMs, columns: laneColumns }
  return account.lanes.map(lane => {
    const label = ` worker ${lane.worker}${String(lane.sold).padStart(4)}  `.padEnd(LABEL_COLUMNS)
    return `${label}${laneText(lane, window, frame.paint)} ${statusText(lane, frame)}`
  })
}

function windowOf(
  { nowMs, isOver }: Frame,
  startedMs: number,
  columns: number,
): { readonly fromMs: number; readonly cellMs: number } {
  const spanMs = nowMs - startedMs
  if (isOver) return { fromMs: startedMs, cellMs: Math.max(CELL_MS, spanMs / columns) }
  // By whole cells, so that what was drawn moves and never changes.
  const cellsGone = Math.max(0, Math.floor(spanMs / CELL_MS) + 1 - columns)
  return { fromMs: startedMs + cellsGone * CELL_MS, cellMs: CELL_MS }
}

const STATUSES: Readonly<Record<LaneState, readonly [string, Style]>> = {
  away: ['', 'dim'],
  waiting: ['waits', 'dim'],
  holding: ['holds the lock', 'green'],
  stopped: ['STOPPED with the lock', 'yellow'],
  lapsed: ['STOPPED, lease over', 'yellow'],
  late: ['thinks it still holds', 'red'],
  killed: ['KILLED with the lock', 'red'],
  done: ['done', 'dim'],
}

const MARK_SHOWN_MS = 3_000

function statusText(lane: Lane, { nowMs, paint }: Frame): string {
  const latest = lane.marks.at(-1)
  const isFresh = latest !== undefined && nowMs - latest.atMs < MARK_SHOWN_MS
  if (isFresh && latest.mark === 'refused') return paint('alarm', 'stale write REFUSED')
  if (isFresh && latest.mark === 'overwrote') return paint('alarm', 'stale write ACCEPTED')
  if (lane.spans.length === 0) return paint('dim', 'starting')
  const [text, style] = STATUSES[stateOf(lane)]
  return paint(style, text)
}

function figuresLine({ handOffsMs, tokens, refused, overwrites }: Account, { paint }: Frame, columns: number): string {
  const p50 = percentile(handOffsMs, 50)
  const p99 = percentile(handOffsMs, 99)
  const handOffs =
    p50 === undefined || p99 === undefined ? '' : `hand-off p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`
  const stale = overwrites > 0 ? `stale writes accepted: ${overwrites}` : `stale writes refused: ${refused}`
  const text = cut([`grants: ${tokens.length}`, handOffs, stale].filter(part => part !== '').join('   '), columns - 1)
  return ` ${overwrites > 0 ? paint('red', text) : text}`
}

function latestSale(account: Account, { paint }: Frame, columns: number): string {
  const line = account.lines.findLast(({ tone }) => tone === 'usual')
  return line === undefined ? '' : lineText(line, account.startedMs ?? line.atMs, { paint, columns })
}

function news(account: Account, { rows, isOver, paint }: Frame, columns: number): string[] {
  const room = Math.min(NEWS_ROWS_MAX, rows - 1 - FIXED_ROWS - account.lanes.length)
  if (room <= 0) return []
  const unusual = account.lines.filter(({ tone }) => tone !== 'usual').slice(-room)
  const texts = unusual.map(line => lineText(line, account.startedMs ?? line.atMs, { paint, columns }))
  if (isOver) return texts
  // Always as many lines, so that what stands below does not jump.
  return [...texts, ...Array.from({ length: room - texts.length }, () => '')]
}
