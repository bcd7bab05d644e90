import { pictureFits } from './picture.ts'
import { PlainView } from './plain-view.ts'
import { TerminalView } from './terminal-view.ts'
import type { View, ViewOptions } from './view.ts'

/** A picture where there is a terminal to draw on, else a line for each thing that happens. */
export function openView(options: ViewOptions): View {
  const { output, workers } = options
  const canDraw = output.isTTY && process.env['TERM'] !== 'dumb' && pictureFits(output, workers)
  return canDraw ? new TerminalView(options) : new PlainView(options)
}
