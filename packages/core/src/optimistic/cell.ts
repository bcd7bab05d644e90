/** What was read of a cell. */
export interface Seen<T> {
  /** Undefined where there is nothing. */
  readonly value: T | undefined
  /** What tells this state from every other; the cell's own. */
  readonly version: unknown
}

/** Something that can be written only if it is still as it was read: no lock is needed for a change of it. */
export interface Cell<T> {
  /** For people: what a conflict is about. */
  readonly name: string
  read(): Promise<Seen<T>>
  /**
   * False when it is not as it was seen any more: then nothing was written. Else true, or what is there now, where that is not just
   * what was given (a row's version moves on by itself).
   */
  writeIfUnchanged(seen: Seen<T>, value: T): Promise<boolean | { readonly value: T }>
}
