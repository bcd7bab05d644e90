/** Somebody who publishes a value and waits until it is in use. */
export interface Contestant extends AsyncDisposable {
  /** Publishes the number; resolves when a reader has it. */
  publish(value: number): Promise<void>
}
