import type { Refusal } from '../client/report.ts'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'

/** How long after each refusal it is tried again: what a participant could not do may work later. */
const RETRY_MS: readonly number[] = [30_000, 120_000, 600_000]

/** A release that is not to be applied, as it stands in the store. */
export interface Suspect {
  readonly release: ReleaseName
  readonly version: string
}

interface Entry {
  readonly suspect: Suspect
  readonly refusal: Refusal
  readonly count: number
  /** By the monotonic clock; undefined when it is not tried again. */
  readonly retryAtMs: number | undefined
}

/** Keeps the release that was refused from being tried over and over. One at a time: another target takes its place. */
export class Quarantine {
  #entry: Entry | undefined

  get refusal(): Refusal | undefined {
    return this.#entry?.refusal
  }

  /** When to try again, by the monotonic clock. */
  get retryAtMs(): number | undefined {
    return this.#entry?.retryAtMs
  }

  add(suspect: Suspect, refusal: Refusal, options: { readonly nowMs: number; readonly isRetried: boolean }): void {
    const before = this.#entry
    const count = before !== undefined && isSameSuspect(before, suspect) ? before.count + 1 : 0
    const pauseMs = options.isRetried ? RETRY_MS[count] : undefined
    const retryAtMs = pauseMs === undefined ? undefined : options.nowMs + pauseMs
    this.#entry = { suspect, refusal, count, retryAtMs }
  }

  /** Whether it must not be tried now. */
  holds(suspect: Suspect, nowMs: number): boolean {
    const entry = this.#entry
    if (entry === undefined || !isSameSuspect(entry, suspect)) return false
    return entry.retryAtMs === undefined || nowMs < entry.retryAtMs
  }

  /** Forgets a release that is not the target any more. */
  keepOnly(suspect: Suspect): void {
    if (this.#entry !== undefined && !isSameSuspect(this.#entry, suspect)) this.clear()
  }

  clear(): void {
    this.#entry = undefined
  }
}

// What could not be verified may have been written anew, under the same name.
function isSameSuspect({ suspect, refusal }: Entry, other: Suspect): boolean {
  if (!isSameRelease(suspect.release, other.release)) return false
  return refusal.stage !== 'verify' || suspect.version === other.version
}
