/** Who publishes a value, in the process of the benchmark. */
export interface Publisher extends AsyncDisposable {
  publish(value: number): Promise<void>
}

/** Who follows it, in a process of its own as in life; `applied` is called when a value is in use. */
export type StartReader = (address: string, applied: (value: number) => void) => Promise<void>
