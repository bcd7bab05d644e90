import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import type { Subscription } from '../live.ts'
import { checkName } from '../names.ts'
import { TTL_MS, checkDurationMs } from '../options.ts'
import type {
  BeatOutcome,
  Commit,
  CommitOutcome,
  DirectoryListener,
  DirectoryRead,
  EphemeralRequest,
  ReadRequest,
  RecordStore,
  Stay,
} from '../ports/records.ts'
import { EPHEMERAL_TTL_MS_DEFAULT } from '../ports/records.ts'
import { systemRandom } from '../random.ts'
import { checkCommit, checkValue } from '../records/changes.ts'
import { randomId } from '../records/revision.ts'
import { reportListenerError } from '../telemetry.ts'
import type { MemoryDirectories } from './directories.ts'
import type { MemoryWorld } from './world.ts'

/** Records of one client of a `MemoryWorld`. */
export class MemoryRecordStore implements RecordStore {
  // The store and its writers are one process: what it acknowledged is gone only when they are.
  readonly guarantee = 'lease'
  readonly #clock: Clock
  readonly #directories: MemoryDirectories
  readonly #lifecycle: BackendLifecycle
  readonly #listening = new Set<Subscription>()

  constructor(world: MemoryWorld, lifecycle: BackendLifecycle) {
    this.#clock = world.clock
    this.#directories = world.directories
    this.#lifecycle = lifecycle
  }

  newId(): string {
    return randomId(systemRandom)
  }

  async read(request: ReadRequest, signal?: AbortSignal): Promise<DirectoryRead> {
    checkName('directory', request.directory)
    for (const id of request.ids ?? []) checkName('id', id)
    this.#checkStart(signal)
    return this.#directories.read(request)
  }

  async commit(commit: Commit, signal?: AbortSignal): Promise<CommitOutcome> {
    checkCommit(commit)
    this.#checkStart(signal)
    return this.#directories.commit(commit)
  }

  async join(request: EphemeralRequest, signal?: AbortSignal): Promise<Stay> {
    const ttlMs = checkedTtlMs(request)
    checkValue(request.id, request.value)
    this.#checkStart(signal)
    const sent = momentOf(this.#clock)
    this.#directories.join(request, ttlMs)
    return this.#stay(sent, ttlMs)
  }

  async beat(request: EphemeralRequest, value?: Uint8Array): Promise<BeatOutcome> {
    const ttlMs = checkedTtlMs(request)
    if (value !== undefined) checkValue(request.id, value)
    this.#lifecycle.checkUsable()
    const sent = momentOf(this.#clock)
    const outcome = this.#directories.beat(request, ttlMs, value)
    return outcome === 'kept' ? { kind: 'kept', ...this.#stay(sent, ttlMs) } : { kind: outcome }
  }

  async leave(request: EphemeralRequest): Promise<'left' | 'lost'> {
    checkedTtlMs(request)
    this.#lifecycle.checkUsable()
    return this.#directories.leave(request)
  }

  listen(directory: string, listener: DirectoryListener): Subscription {
    checkName('directory', directory)
    this.#lifecycle.checkOpen()
    let isOpen = true
    const tell = (event: () => void): void => queueMicrotask(() => isOpen && heard(event))
    const stop = this.#directories.listen(directory, commit => tell(() => listener.changed(commit)))
    tell(() => listener.live())
    const close = (): void => {
      isOpen = false
      this.#listening.delete(subscription)
      stop()
    }
    const subscription: Subscription = { close, [Symbol.dispose]: close }
    this.#listening.add(subscription)
    return subscription
  }

  /** Ends every listener. Ephemeral records that were not left stay until their time is over. */
  close(): void {
    for (const subscription of [...this.#listening]) subscription.close()
  }

  #checkStart(signal: AbortSignal | undefined): void {
    this.#lifecycle.checkOpen()
    signal?.throwIfAborted()
  }

  #stay(sent: Moment, ttlMs: number): Stay {
    return { deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
  }
}

function checkedTtlMs({ directory, id, ttlMs }: EphemeralRequest): number {
  checkName('directory', directory)
  checkName('id', id)
  if (ttlMs === undefined) return EPHEMERAL_TTL_MS_DEFAULT
  checkDurationMs('ttlMs', ttlMs, TTL_MS)
  return ttlMs
}

function heard(event: () => void): void {
  try {
    event()
  } catch (error) {
    reportListenerError('records', error)
  }
}
