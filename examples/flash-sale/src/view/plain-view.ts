import type { Account } from '../account.ts'
import { lineText } from './line-text.ts'
import type { View, ViewOptions } from './view.ts'

/** Prints each line of the account once. */
export class PlainView implements View {
  readonly #options: ViewOptions
  #printed = 0

  constructor(options: ViewOptions) {
    this.#options = options
    options.output.write(`${options.title}\n`)
  }

  update({ lines, startedMs }: Account): void {
    const { output, paint } = this.#options
    for (const line of lines.slice(this.#printed))
      output.write(`${lineText(line, startedMs ?? line.atMs, { paint })}\n`)
    this.#printed = lines.length
  }

  end(account: Account): void {
    this.update(account)
  }
}
