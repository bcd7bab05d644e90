import type { Account } from '../account.ts'
import { picture } from './picture.ts'
import type { View, ViewOptions } from './view.ts'

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
// Terminals that know it show what is between these two at once; others take no notice.
const BEGIN_FRAME = '\u001b[?2026h'
const END_FRAME = '\u001b[?2026l'
const CLEAR_SCREEN = '\u001b[2J\u001b[H'
const CLEAR_BELOW = '\u001b[J'
const CLEAR_REST_OF_LINE = '\u001b[K'
const up = (rows: number): string => (rows > 0 ? `\u001b[${rows}A` : '')

/** Draws the picture in place, over the one before. Only lines that changed are written, so nothing flickers. */
export class TerminalView implements View {
  readonly #options: ViewOptions
  #drawn: readonly string[] = []

  constructor(options: ViewOptions) {
    this.#options = options
    options.output.write(HIDE_CURSOR)
    options.output.on('resize', this.#startAnew)
    // However the process ends, the cursor comes back.
    process.on('exit', this.#restore)
  }

  update(account: Account, nowMs: number): void {
    this.#draw(account, { nowMs, isOver: false })
  }

  end(account: Account, nowMs: number): void {
    this.#draw(account, { nowMs, isOver: true })
    this.#options.output.off('resize', this.#startAnew)
    process.off('exit', this.#restore)
    this.#restore()
  }

  #draw(account: Account, moment: { readonly nowMs: number; readonly isOver: boolean }): void {
    const { title, stock, output, paint } = this.#options
    const { columns, rows } = output
    const lines = picture(account, { title, stock, columns, rows, paint, ...moment }).slice(0, rows - 1)
    const changes = lines.map((line, row) => (line === this.#drawn[row] ? '\n' : `${line}${CLEAR_REST_OF_LINE}\n`))
    output.write(`${BEGIN_FRAME}${up(this.#drawn.length)}${changes.join('')}${CLEAR_BELOW}${END_FRAME}`)
    this.#drawn = lines
  }

  readonly #restore = (): void => {
    this.#options.output.write(SHOW_CURSOR)
  }

  // Where the old lines are after the terminal has wrapped them anew, nobody knows.
  readonly #startAnew = (): void => {
    this.#drawn = []
    this.#options.output.write(CLEAR_SCREEN)
  }
}
