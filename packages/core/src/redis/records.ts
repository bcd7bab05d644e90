import { orAborted } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { Subscription } from '../live.ts'
import { checkName, show } from '../names.ts'
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
import type { Random } from '../random.ts'
import { checkCommit, checkValue } from '../records/changes.ts'
import { randomId } from '../records/revision.ts'
import type { RedisConnection } from './connection.ts'
import { EphemeralEnds } from './ephemeral-ends.ts'
import { directoryKeys } from './keys.ts'
import { RecordCommands } from './record-commands.ts'
import { RecordReads } from './record-reads.ts'
import type { Subscriber } from './subscriber.ts'

/** What a `RedisRecordStore` works with. */
export interface RedisRecordParts {
  readonly clock: Clock
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  readonly connection: RedisConnection
  readonly subscriber: Subscriber
  readonly prefix: string
  /** What the driver puts before keys, from which the scripts make channels, and not before channels. */
  readonly channelPrefix: string
}

/** What is known of a directory while somebody listens to it. */
interface Audience {
  readonly channel: string
  size: number
  /** The last commit that was heard of, or read. */
  lastCommit: string | undefined
  readonly ends: EphemeralEnds
}

const COMMIT_ID = /^[\w-]{22}$/

/** Records in one Redis, or in one Cluster. */
export class RedisRecordStore implements RecordStore {
  readonly #parts: RedisRecordParts
  readonly #commands: RecordCommands
  readonly #reads: RecordReads
  readonly #audiences = new Map<string, Audience>()

  constructor(parts: RedisRecordParts) {
    this.#parts = parts
    this.#commands = new RecordCommands(parts, { prefix: parts.prefix, newId: () => this.newId() })
    this.#reads = new RecordReads(parts.connection, parts.prefix)
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#parts.connection.guarantee
  }

  newId(): string {
    return randomId(this.#parts.random)
  }

  async read(request: ReadRequest, signal?: AbortSignal): Promise<DirectoryRead> {
    checkName('directory', request.directory)
    for (const id of request.ids ?? []) checkName('id', id)
    this.#checkStart(signal)
    return await orAborted(this.#read(request), signal)
  }

  async commit(commit: Commit, signal?: AbortSignal): Promise<CommitOutcome> {
    checkCommit(commit)
    checkId('commitId', commit.commitId)
    this.#checkStart(signal)
    return await orAborted(this.#commands.commit(commit), signal)
  }

  async join(request: EphemeralRequest, signal?: AbortSignal): Promise<Stay> {
    checkEphemeral(request)
    checkValue(request.id, request.value)
    this.#checkStart(signal)
    return await orAborted(this.#commands.join(request), signal)
  }

  async beat(request: EphemeralRequest, value?: Uint8Array): Promise<BeatOutcome> {
    checkEphemeral(request)
    if (value !== undefined) checkValue(request.id, value)
    this.#parts.lifecycle.checkUsable()
    return await this.#commands.beat(request, value)
  }

  async leave(request: EphemeralRequest): Promise<'left' | 'lost'> {
    checkEphemeral(request)
    this.#parts.lifecycle.checkUsable()
    return await this.#commands.leave(request)
  }

  listen(directory: string, listener: DirectoryListener): Subscription {
    checkName('directory', directory)
    this.#parts.lifecycle.checkOpen()
    const audience = this.#audienceOf(directory)
    audience.size += 1
    const subscription = this.#parts.subscriber.listen(audience.channel, {
      live: () => {
        void audience.ends.look()
        listener.live()
      },
      down: cause => listener.down(cause),
      message: text => {
        const commit = COMMIT_ID.test(text) ? text : undefined
        if (commit !== undefined) audience.lastCommit = commit
        else if (text !== '') audience.ends.lookIn(Number(text))
        listener.changed(commit)
      },
    })
    let isOpen = true
    const close = (): void => {
      if (!isOpen) return
      isOpen = false
      subscription.close()
      audience.size -= 1
      if (audience.size === 0) this.#leave(directory, audience)
    }
    return { close, [Symbol.dispose]: close }
  }

  /** Ends every listener. Ephemeral records that were not left stay until their time is over. */
  close(): void {
    for (const [directory, audience] of [...this.#audiences]) this.#leave(directory, audience)
    this.#parts.subscriber.close()
  }

  #checkStart(signal: AbortSignal | undefined): void {
    this.#parts.lifecycle.checkOpen()
    signal?.throwIfAborted()
  }

  async #read(request: ReadRequest): Promise<DirectoryRead> {
    const audience = this.#audiences.get(request.directory)
    const lastCommit = audience?.lastCommit
    const isNews = lastCommit !== undefined && request.unless?.includes(lastCommit) === false
    const read = await this.#reads.read(request, isNews)
    if (audience !== undefined && read.kind === 'present') audience.lastCommit = read.revision.commit
    return read
  }

  #audienceOf(directory: string): Audience {
    const known = this.#audiences.get(directory)
    if (known !== undefined) return known
    const { prefix, channelPrefix } = this.#parts
    const channel = `${channelPrefix}${directoryKeys(prefix, directory).channel}`
    const ends = new EphemeralEnds({
      clock: this.#parts.clock,
      next: afterMs => this.#reads.nextEnd(directory, afterMs),
      ended: () => this.#parts.subscriber.tell(channel, ''),
    })
    const audience: Audience = { channel, ends, size: 0, lastCommit: undefined }
    this.#audiences.set(directory, audience)
    return audience
  }

  #leave(directory: string, audience: Audience): void {
    audience.ends.close()
    this.#audiences.delete(directory)
  }
}

function checkEphemeral({ directory, id, owner, ttlMs }: EphemeralRequest): void {
  checkName('directory', directory)
  checkName('id', id)
  checkId('owner', owner)
  if (ttlMs !== undefined) checkDurationMs('ttlMs', ttlMs, TTL_MS)
}

function checkId(argument: string, id: unknown): void {
  if (typeof id === 'string' && COMMIT_ID.test(id)) return
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be from \`newId\`, got ${show(id)}.`)
}
