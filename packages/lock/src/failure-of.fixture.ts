import { expect } from 'vitest'

/** What a promise rejects with; it must. */
export function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    value => expect.unreachable(`It did not fail, but answered ${String(value)}.`),
    (error: unknown) => error,
  )
}
