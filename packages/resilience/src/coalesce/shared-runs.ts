import { InvalidArgumentError, show } from '@holdfast/core'
import type { CallContext } from '../call.ts'
import { Call } from '../call.ts'
import type { Next } from '../stage.ts'

/** One run that several calls wait for. */
export interface SharedRun {
  readonly key: string
  readonly call: Call
  /** Has a handler: it never rejects unheard. */
  readonly result: Promise<unknown>
  callers: number
}

/**
 * The key of a call, from a function of its user's. A promise is none: no two are the same.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no string.
 */
export function keyFrom(keyOf: (context: CallContext) => string | undefined, call: Call): string | undefined {
  const key: unknown = keyOf(call)
  if (key === undefined || typeof key === 'string') return key
  throw new InvalidArgumentError('key', `Expected \`key\` to return a string or undefined, at once, got ${show(key)}.`)
}

/** Whether a call was made by the work of a run, as far as its signal tells: it would wait for what waits for it. */
export function isInside(call: Call, run: SharedRun): boolean {
  for (let at: Call | undefined = call; at !== undefined; at = at.parent) if (at === run.call) return true
  return false
}

/**
 * Runs by key, at most one of a key at a time. A run is nobody's own: it is cancelled when all who waited for it have left.
 */
export class SharedRuns {
  readonly #runs = new Map<string, SharedRun>()

  /** How many keys have a run under way. */
  get count(): number {
    return this.#runs.size
  }

  /** Those under way now. */
  all(): readonly SharedRun[] {
    return [...this.#runs.values()]
  }

  find(key: string): SharedRun | undefined {
    return this.#runs.get(key)
  }

  /**
   * Begins a run for a key, with what is known of `call`, but for its end and its deadline: a `timeout` inside goes by the deadline that
   * it finds, and others may have more time. Each leaves by his own. Nobody waits for it yet.
   */
  begin(key: string, call: Call, next: Next): SharedRun {
    const shared = new Call(call.work, { clock: call.clock })
    shared.takeFrom(call)
    shared.nowMs = call.nowMs
    shared.deadlineMs = Infinity
    const result = (async () => await next(shared))()
    const run: SharedRun = { key, call: shared, result, callers: 0 }
    this.#runs.set(key, run)
    const over = (): void => this.forget(run)
    result.then(over, over)
    return run
  }

  /** What a run comes to, for one more caller; he leaves it when his call is cancelled. */
  join(run: SharedRun, call: Call): Promise<unknown> {
    run.callers += 1
    return new Promise((resolve, reject) => {
      const stop = call.onCancel(reason => {
        reject(reason as Error)
        this.#leave(run, reason)
      })
      run.result.then(resolve, reject).finally(stop)
    })
  }

  /** A later call of its key begins a run of its own. */
  forget(run: SharedRun): void {
    if (this.#runs.get(run.key) === run) this.#runs.delete(run.key)
  }

  #leave(run: SharedRun, reason: unknown): void {
    run.callers -= 1
    if (run.callers > 0) return
    this.forget(run)
    run.call.cancel(reason)
  }
}
