import type { Clock } from '../clock.ts'
import type { BeginOutcome, BeginRequest, Completion, RunRef } from '../ports/idempotency.ts'

interface RunFacts {
  readonly owner: string
  readonly fence: bigint
  /** Until when it is remembered, by the monotonic clock. */
  readonly endsAtMs: number
}

type Run = RunFacts &
  (
    | {
        readonly kind: 'running'
        readonly fingerprint: string
        readonly leaseEndsAtMs: number
        readonly keepMs: number
      }
    | {
        readonly kind: 'done'
        readonly fingerprint: string
        readonly result: Uint8Array
        readonly failed: boolean
        readonly completedAtMs: number
      }
    | { readonly kind: 'released' }
  )

type Running = Extract<Run, { readonly kind: 'running' }>

/** How many runs each new one looks at, to drop those whose time is over. */
const SWEPT = 4

/** The runs of idempotency keys of a `MemoryWorld`. */
export class MemoryRuns {
  readonly #clock: Clock
  readonly #runs = new Map<string, Run>()
  #sweeping: MapIterator<[string, Run]> | undefined
  #lastFence = 0n

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(request: BeginRequest): BeginOutcome {
    const { key, fingerprint, owner, leaseMs } = request
    const run = this.#at(key)
    if (run === undefined) return this.#start(request)
    if (run.kind === 'released') return run.owner === owner ? { kind: 'run', fence: run.fence } : this.#start(request)
    if (run.fingerprint !== fingerprint) return { kind: 'conflict' }
    if (run.kind === 'done') {
      const { result, failed, completedAtMs } = run
      return { kind: 'done', result: result.slice(), failed, completedAtMs }
    }
    if (run.owner === owner) {
      this.#lease(key, run, leaseMs)
      return { kind: 'run', fence: run.fence }
    }
    const leaseLeftMs = run.leaseEndsAtMs - this.#clock.monotonicMs()
    if (leaseLeftMs > 0) return { kind: 'in-flight', leaseLeftMs }
    return request.onLost === 'fail' ? { kind: 'lost' } : this.#start(request)
  }

  renew(ref: RunRef, leaseMs: number): 'kept' | 'stale' {
    const run = this.#of(ref)
    if (run?.kind !== 'running') return 'stale'
    this.#lease(ref.key, run, leaseMs)
    return 'kept'
  }

  complete(ref: RunRef, { result, failed, keepMs }: Completion): 'kept' | 'stale' {
    const run = this.#of(ref)
    if (run?.kind === 'done') return 'kept'
    if (run?.kind !== 'running') return 'stale'
    const { owner, fence, fingerprint } = run
    const completedAtMs = this.#clock.wallMs()
    const endsAtMs = this.#clock.monotonicMs() + keepMs
    const done = { kind: 'done', owner, fence, fingerprint, endsAtMs, completedAtMs, failed } as const
    this.#runs.set(ref.key, { ...done, result: result.slice() })
    return 'kept'
  }

  release(ref: RunRef): 'released' | 'stale' {
    const run = this.#of(ref)
    if (run?.kind === 'released') return 'released'
    if (run?.kind !== 'running') return 'stale'
    const { owner, fence, keepMs } = run
    this.#runs.set(ref.key, { kind: 'released', owner, fence, endsAtMs: this.#clock.monotonicMs() + keepMs })
    return 'released'
  }

  /** Forgets a key, as a store that loses its data. */
  lose(key: string): void {
    this.#runs.delete(key)
  }

  /** How many keys it remembers, or has not swept away yet. */
  get size(): number {
    return this.#runs.size
  }

  /** What it still remembers of a key. */
  leftovers(key: string): readonly string[] {
    const run = this.#at(key)
    return run === undefined ? [] : [`${key}: ${run.kind}`]
  }

  #start({ key, fingerprint, owner, leaseMs, keepMs }: BeginRequest): BeginOutcome {
    this.#sweep()
    this.#lastFence += 1n
    const leaseEndsAtMs = this.#clock.monotonicMs() + leaseMs
    const fence = this.#lastFence
    const endsAtMs = leaseEndsAtMs + keepMs
    this.#runs.set(key, { kind: 'running', owner, fence, fingerprint, leaseEndsAtMs, keepMs, endsAtMs })
    return { kind: 'run', fence }
  }

  #lease(key: string, run: Running, leaseMs: number): void {
    const leaseEndsAtMs = this.#clock.monotonicMs() + leaseMs
    this.#runs.set(key, { ...run, leaseEndsAtMs, endsAtMs: leaseEndsAtMs + run.keepMs })
  }

  #of({ key, owner, fence }: RunRef): Run | undefined {
    const run = this.#at(key)
    return run?.owner === owner && run.fence === fence ? run : undefined
  }

  #at(key: string): Run | undefined {
    const run = this.#runs.get(key)
    if (run === undefined || run.endsAtMs > this.#clock.monotonicMs()) return run
    this.#runs.delete(key)
    return undefined
  }

  // An iterator of a map goes on where it was, whatever is added and taken away meanwhile: no key is looked at twice in one round.
  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#sweeping ??= this.#runs.entries()
    for (let count = 0; count < SWEPT; count += 1) {
      const { done, value } = this.#sweeping.next()
      if (done === true) {
        this.#sweeping = undefined
        return
      }
      const [key, run] = value
      if (run.endsAtMs <= nowMs) this.#runs.delete(key)
    }
  }
}
