import { RefusedError } from '../errors.ts'
import type { Claim, ClaimParts, Claimed } from './claims.ts'
import type { Contender } from './contender.ts'
import { exists } from './operations.ts'
import { queueOf, writerMarkPath } from './queues.ts'
import type { Locks } from './queues.ts'
import type { Session } from './session.ts'
import type { WriterMark } from './writer-mark.ts'
import { readWriterMark, writeWriterMark } from './writer-mark.ts'

/**
 * The token of those who read a resource now: that of the last writer.
 *
 * Once a writer's node is gone nothing tells that it ever was, so each writer leaves its token where readers look, before it holds.
 * Where there is none, the transaction that made the queue's own node stands for it: a queue can only be made when nobody is left of
 * the one before, so that is later than every writer of that one, and earlier than every writer to come. The node's own number would
 * not do, though it is as late as it has to be: of two readers at the same time the later one would make the other one stale.
 */
export async function readersToken(session: Session, locks: Locks, resource: string): Promise<bigint> {
  const { directory } = queueOf(locks, resource, 'read-write')
  const [mark, queue] = await Promise.all([
    readWriterMark(session, writerMarkPath(locks, resource)),
    session.run(exists(directory)),
  ])
  return mark.token > queue.czxid ? mark.token : queue.czxid
}

/** Of a reader. */
export class ReadClaim implements Claim {
  readonly isTurnEnough = false
  readonly mayHaveTaken = false
  readonly #parts: ClaimParts
  #token: Promise<bigint> | undefined

  constructor(parts: ClaimParts) {
    this.#parts = parts
  }

  async prepare(): Promise<void> {}

  listed(): void {
    // Asked behind the listing by which nobody is in its way: all writers before it have left their mark by then.
    this.#token = readersToken(this.#parts.session, this.#parts, this.#parts.request.resource)
    this.#token.catch(() => undefined)
  }

  async hasRoomBehind(): Promise<boolean> {
    return false
  }

  async take(contender: Contender): Promise<Claimed | undefined> {
    if (this.#token === undefined) this.listed()
    return { contender, token: (await this.#token) ?? 0n }
  }

  withdraw(): void {}
}

/** Of a writer. */
export class WriteClaim implements Claim {
  readonly isTurnEnough = false
  readonly mayHaveTaken = false
  readonly #parts: ClaimParts
  readonly #path: string
  #mark: Promise<WriterMark> | undefined

  constructor(parts: ClaimParts) {
    this.#parts = parts
    this.#path = writerMarkPath(parts, parts.request.resource)
  }

  async prepare(): Promise<void> {}

  listed(): void {
    this.#mark ??= this.#read()
  }

  async hasRoomBehind(): Promise<boolean> {
    return false
  }

  async take(contender: Contender): Promise<Claimed | undefined> {
    const { isForeign } = await (this.#mark ?? this.#read())
    if (isForeign) {
      throw new RefusedError(
        `The node ${this.#path} of ZooKeeper at ${this.#parts.server} holds data of somebody else, where the token of` +
          ` the last writer of "${this.#parts.request.resource}" has to stand.`,
      )
    }
    await writeWriterMark(contender, this.#path)
    return { contender, token: contender.czxid }
  }

  withdraw(): void {}

  #read(): Promise<WriterMark> {
    const mark = readWriterMark(this.#parts.session, this.#path)
    mark.catch(() => {
      // It is read again when its turn has come.
      if (this.#mark === mark) this.#mark = undefined
    })
    return mark
  }
}
