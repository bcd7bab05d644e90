import type { BackendLifecycle } from '../backend.ts'
import { checkBegin, checkCompletion, checkLeaseMs, checkRun } from '../idempotency/checks.ts'
import type { BeginOutcome, BeginRequest, Completion, IdempotencyStore, RunRef } from '../ports/idempotency.ts'
import { systemRandom } from '../random.ts'
import { randomId } from '../records/revision.ts'
import type { MemoryRuns } from './runs.ts'
import type { MemoryWorld } from './world.ts'

/** Idempotency of one client of a `MemoryWorld`. */
export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly #runs: MemoryRuns
  readonly #lifecycle: BackendLifecycle

  constructor(world: MemoryWorld, lifecycle: BackendLifecycle) {
    this.#runs = world.runs
    this.#lifecycle = lifecycle
  }

  newOwner(): string {
    return randomId(systemRandom)
  }

  async begin(request: BeginRequest): Promise<BeginOutcome> {
    checkBegin(request)
    this.#lifecycle.checkOpen()
    return this.#runs.begin(request)
  }

  async renew(run: RunRef, leaseMs: number): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkLeaseMs(leaseMs)
    this.#lifecycle.checkUsable()
    return this.#runs.renew(run, leaseMs)
  }

  async complete(run: RunRef, completion: Completion): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkCompletion(completion)
    this.#lifecycle.checkUsable()
    return this.#runs.complete(run, completion)
  }

  async release(run: RunRef): Promise<'released' | 'stale'> {
    checkRun(run)
    this.#lifecycle.checkUsable()
    return this.#runs.release(run)
  }
}
