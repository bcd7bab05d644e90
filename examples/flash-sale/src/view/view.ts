import type { Account } from '../account.ts'
import type { Paint } from './paint.ts'

/** Shows the sale as it goes on. */
export interface View {
  /** The account has grown, or time has passed. */
  update(account: Account, nowMs: number): void
  /** Nothing more will come. Leaves what was shown, and the terminal as it was found. */
  end(account: Account, nowMs: number): void
}

/** What is shown, and where. */
export interface ViewOptions {
  readonly title: string
  readonly stock: number
  readonly workers: number
  readonly output: NodeJS.WriteStream
  readonly paint: Paint
}
