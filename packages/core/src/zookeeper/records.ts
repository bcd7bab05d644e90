import type { BackendLifecycle } from '../backend.ts'
import { UnavailableError, UnknownOutcomeError } from '../errors.ts'
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
import { checkCommit, checkValue } from '../records/changes.ts'
import { randomId } from '../records/revision.ts'
import { CallDeadlines } from './calls.ts'
import type { CommitParts } from './commit.ts'
import { Committing } from './commit.ts'
import { DirectoryListening } from './directory-listening.ts'
import { EphemeralNode } from './ephemerals.ts'
import { OperationError, isFailure, toHoldfastError } from './errors.ts'
import { KnownDirectories } from './known-directories.ts'
import { recordDirectory } from './paths.ts'
import { readDirectory } from './record-reads.ts'
import { SentCommits } from './sent-commits.ts'
import { Undertaking } from './undertaking.ts'

/** What a `ZooKeeperRecordStore` works with. */
export interface RecordParts extends Omit<CommitParts, 'sent' | 'known'> {
  readonly lifecycle: BackendLifecycle
  readonly operationTimeoutMs: number
}

/**
 * Records as nodes: a directory is one whose data names the revision and the commits before it, its children are the records.
 * Below `%ephemerals` stand the ephemeral ones.
 */
export class ZooKeeperRecordStore implements RecordStore {
  // As the leases: an ensemble acknowledges what a majority has on disk.
  readonly guarantee = 'lease'
  readonly #parts: RecordParts & CommitParts
  readonly #deadlines: CallDeadlines
  readonly #listening = new Map<string, DirectoryListening>()
  readonly #subscriptions = new Set<Subscription>()

  constructor(parts: RecordParts) {
    this.#parts = { ...parts, sent: new SentCommits(), known: new KnownDirectories() }
    this.#deadlines = new CallDeadlines(parts.clock, parts.operationTimeoutMs, () => parts.sessions.cause)
  }

  newId(): string {
    return randomId(this.#parts.random)
  }

  async read(request: ReadRequest, signal?: AbortSignal): Promise<DirectoryRead> {
    checkName('directory', request.directory)
    for (const id of request.ids ?? []) checkName('id', id)
    this.#checkStart(signal)
    const path = recordDirectory(this.#parts.layout, request.directory)
    const isChanged = this.#listening.get(path)?.takeChange() ?? false
    return this.#undertake(signal, undertaking => readDirectory(this.#parts, { ...request, isChanged }, undertaking))
  }

  async commit(commit: Commit, signal?: AbortSignal): Promise<CommitOutcome> {
    checkCommit(commit)
    checkName('commitId', commit.commitId)
    this.#checkStart(signal)
    return this.#undertake(signal, undertaking => new Committing(this.#parts, commit, undertaking).run())
  }

  async join(request: EphemeralRequest, signal?: AbortSignal): Promise<Stay> {
    checkEphemeral(request)
    checkValue(request.id, request.value)
    this.#checkStart(signal)
    return this.#undertake(signal, undertaking => new EphemeralNode(this.#parts, request, undertaking).join())
  }

  async beat(request: EphemeralRequest, value?: Uint8Array): Promise<BeatOutcome> {
    checkEphemeral(request)
    if (value !== undefined) checkValue(request.id, value)
    this.#parts.lifecycle.checkUsable()
    return this.#undertake(undefined, undertaking => new EphemeralNode(this.#parts, request, undertaking).beat(value))
  }

  async leave(request: EphemeralRequest): Promise<'left' | 'lost'> {
    checkEphemeral(request)
    this.#parts.lifecycle.checkUsable()
    return this.#undertake(undefined, undertaking => new EphemeralNode(this.#parts, request, undertaking).leave())
  }

  listen(directory: string, listener: DirectoryListener): Subscription {
    checkName('directory', directory)
    this.#parts.lifecycle.checkOpen()
    const path = recordDirectory(this.#parts.layout, directory)
    const listening =
      this.#listening.get(path) ?? new DirectoryListening(this.#parts, path, cause => this.#explain(cause))
    this.#listening.set(path, listening)
    // One object a subscription: the same listener may listen twice.
    const own: DirectoryListener = {
      changed: commit => listener.changed(commit),
      live: () => listener.live(),
      down: cause => listener.down(cause),
    }
    listening.add(own)
    const close = (): void => {
      if (!this.#subscriptions.delete(subscription)) return
      listening.remove(own)
      if (listening.isEmpty) this.#listening.delete(path)
    }
    const subscription: Subscription = { close, [Symbol.dispose]: close }
    this.#subscriptions.add(subscription)
    return subscription
  }

  /** Ends every listener. */
  close(): void {
    for (const subscription of [...this.#subscriptions]) subscription.close()
  }

  async #undertake<T>(signal: AbortSignal | undefined, work: (undertaking: Undertaking) => Promise<T>): Promise<T> {
    const undertaking = new Undertaking(this.#deadlines)
    try {
      return await undertaking.run(signal, () => work(undertaking))
    } catch (error) {
      const { server } = this.#parts.sessions
      const isUncertain = undertaking.isSent && error instanceof OperationError && !isFailure(error, 'refused')
      if (!isUncertain) throw toHoldfastError(error, server)
      const what = `The commit was sent to ZooKeeper at ${server} and its answer never came`
      throw new UnknownOutcomeError(`${what}: all of it was done, or nothing.`, { cause: error })
    }
  }

  #explain(cause: unknown): unknown {
    const { server } = this.#parts.sessions
    return toHoldfastError(cause, server) ?? new UnavailableError(`There is no connection to ZooKeeper at ${server}.`)
  }

  #checkStart(signal: AbortSignal | undefined): void {
    this.#parts.lifecycle.checkOpen()
    signal?.throwIfAborted()
  }
}

function checkEphemeral({ directory, id, owner, ttlMs }: EphemeralRequest): void {
  checkName('directory', directory)
  checkName('id', id)
  checkName('owner', owner)
  if (ttlMs !== undefined) checkDurationMs('ttlMs', ttlMs, TTL_MS)
}
