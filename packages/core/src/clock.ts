/** A timer that was set on a `Clock`. Cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/**
 * Where time comes from. Durations and deadlines use `monotonicMs`; `wallMs` is for people and stores.
 *
 * The monotonic clock stops while a machine sleeps, and the wall clock can jump: what must end in time
 * looks at both (see `lease/deadline.ts`).
 */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number
  /** Milliseconds since 1970-01-01 UTC; can jump. */
  wallMs(): number
  /** Calls `run` once after `delayMs`. `background` (default true) means that the timer does not hold the process. */
  setTimer(run: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer
}

// Node cuts a longer delay to 1 ms, so a longer one is held to this.
const DELAY_MS_MAX = 2_147_483_647

class SystemTimer implements Timer {
  readonly #handle: ReturnType<typeof setTimeout>

  constructor(run: () => void, delayMs: number, background: boolean) {
    this.#handle = setTimeout(run, Math.min(Math.max(delayMs, 0), DELAY_MS_MAX))
    // In a browser the handle is a number, and no timer holds the page.
    if (background && typeof this.#handle === 'object') this.#handle.unref()
  }

  cancel(): void {
    clearTimeout(this.#handle)
  }
}

/** The machine's clocks and timers. */
export const systemClock: Clock = Object.freeze({
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (run: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer =>
    new SystemTimer(run, delayMs, options?.background ?? true),
})
