import type { Call } from '../call.ts'
import { KeyReusedError } from '../errors.ts'
import type { KeyedCall } from './keyed-call.ts'

interface LocalRun {
  readonly fingerprint: string
  /** What it was stored as; undefined where it came to nothing that can be had. */
  readonly ended: Promise<Uint8Array | undefined>
}

/** The runs of this process, by key: whoever waits for one of them need not ask the store. */
export class LocalRuns {
  readonly #runs = new Map<string, LocalRun>()

  /** How many keys are at work here. */
  get count(): number {
    return this.#runs.size
  }

  has(storeKey: string, fingerprint: string): boolean {
    return this.#runs.get(storeKey)?.fingerprint === fingerprint
  }

  /** Notes a run. What it returns says what it was stored as. */
  begin(storeKey: string, fingerprint: string): (bytes: Uint8Array | undefined) => void {
    let tell: (bytes: Uint8Array | undefined) => void = () => {}
    const run: LocalRun = { fingerprint, ended: new Promise(resolve => (tell = resolve)) }
    this.#runs.set(storeKey, run)
    return bytes => {
      if (this.#runs.get(storeKey) === run) this.#runs.delete(storeKey)
      tell(bytes)
    }
  }

  /**
   * What the run of a key in this process was stored as; undefined where there is none, where it came to nothing, or where it takes
   * longer than until `untilMs`.
   *
   * @throws {KeyReusedError} `HF_KEY_REUSED`
   */
  async join({ call, key, storeKey, fingerprint }: KeyedCall, untilMs: number): Promise<Uint8Array | undefined> {
    const run = this.#runs.get(storeKey)
    if (run === undefined) return undefined
    if (run.fingerprint !== fingerprint) throw new KeyReusedError(key)
    return await within(run.ended, call, untilMs)
  }
}

function within<T>(work: Promise<T>, call: Call, untilMs: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const over = (settle: () => void): void => {
      timer.cancel()
      stop()
      settle()
    }
    const delayMs = untilMs - call.clock.monotonicMs()
    const timer = call.clock.setTimer(() => over(() => resolve(undefined)), delayMs, { background: false })
    const stop = call.onCancel(reason => {
      timer.cancel()
      reject(reason as Error)
    })
    work.then(
      value => over(() => resolve(value)),
      (error: unknown) => over(() => reject(error as Error)),
    )
  })
}
