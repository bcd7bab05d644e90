import type { Line, Tone } from '../account.ts'
import type { Paint, Style } from './paint.ts'

const STYLES: Readonly<Record<Tone, Style>> = { usual: 'dim', trouble: 'yellow', averted: 'green', damage: 'alarm' }

/** One line of the account, cut where it would not fit. */
export function lineText(
  line: Line,
  startedMs: number,
  look: { readonly paint: Paint; readonly columns?: number },
): string {
  const at = `${((line.atMs - startedMs) / 1_000).toFixed(2)} s`.padStart(8)
  return `${look.paint('dim', at)}  ${look.paint(STYLES[line.tone], cut(`worker ${line.worker} ${line.text}`, (look.columns ?? Infinity) - 10))}`
}

/** The text in at most so many columns. */
export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
}

/** The text as lines of at most so many columns, broken between words. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= columns) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
