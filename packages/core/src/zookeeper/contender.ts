import type { Place } from './contenders.ts'
import { placeOf } from './contenders.ts'
import { CODE, isCode, isFailure } from './errors.ts'
import type { Side } from './naming.ts'
import type { Created } from './operations.ts'
import { MODE, create, getChildren, getData, remove, sync } from './operations.ts'
import { makeParents } from './parents.ts'
import type { Queue } from './queues.ts'
import type { Session } from './session.ts'

/** What became of a node that was taken back: we deleted it, it was gone already, or it went with its session. */
export type Withdrawal = 'deleted' | 'absent' | 'session-lost'

/** What a contender is made of. */
export interface ContenderParts {
  readonly session: Session
  readonly queue: Queue
  readonly requestId: string
  readonly side: Side
  /** Called when a listing was just sent: what it asks is answered behind that. It must not throw. */
  readonly listed?: () => void
}

/** Somebody else deleted the node that waited. */
export class OustedError extends Error {}

const ROUNDS_MAX = 20

/**
 * One request's node among those who contend for a resource, in one session.
 *
 * Its name carries the request's id, so that a create whose reply was lost is found again by looking (the driver's own retries
 * would create a second node, behind the first one that nobody knows of). A node with our id that is not ours now is a leftover
 * of a lost reply or of an earlier session, which may stay listed for a while: it is deleted, never taken for our own.
 */
export class Contender {
  readonly session: Session
  readonly queue: Queue
  readonly #requestId: string
  readonly #prefix: string
  readonly #listed: (() => void) | undefined
  #node: string | undefined
  #czxid = 0n
  // A create was sent and nobody knows what became of it.
  #isUncertain = false
  #withdrawal: Promise<Withdrawal> | undefined

  constructor({ session, queue, requestId, side, listed }: ContenderParts) {
    this.session = session
    this.queue = queue
    this.#requestId = requestId
    this.#prefix = queue.names.prefixOf(requestId, side)
    this.#listed = listed
  }

  get directory(): string {
    return this.queue.directory
  }

  /** The full path of its node; undefined before it has one. */
  get path(): string | undefined {
    return this.#node === undefined ? undefined : this.#pathOf(this.#node)
  }

  /** The transaction that created its node. */
  get czxid(): bigint {
    return this.#czxid
  }

  get isWithdrawing(): boolean {
    return this.#withdrawal !== undefined
  }

  /** What the server wrote behind the prefix: the digits of the number. */
  get digits(): string {
    return this.#node?.slice(this.#prefix.length) ?? ''
  }

  /**
   * Creates the node and lists the contenders; in one round unless `inSteps`. Rejects with `OperationError`; then `withdraw` it.
   */
  async enter(data: Uint8Array, inSteps: boolean): Promise<readonly string[]> {
    for (let round = 1; ; round++) {
      this.#isUncertain = true
      const creating = this.session.run(
        create(this.#pathOf(this.#prefix), data, MODE.ephemeralSequential, this.session.acl),
      )
      // Sent behind the create, before its reply: the server keeps the order of a session's requests.
      const listing = inSteps ? undefined : this.list()
      listing?.catch(() => undefined)
      try {
        this.#take(await creating)
        return await (listing ?? this.list())
      } catch (error) {
        if (isFailure(error, 'unsent') || isFailure(error, 'refused')) this.#isUncertain = false
        if (round === ROUNDS_MAX) throw error
        const recovered = await this.#recover(error, round)
        if (recovered !== undefined) return recovered
      }
    }
  }

  /**
   * Takes the name that its node will have once `replaceNode` has made it: from now on `withdraw` deletes that. Its number is
   * another's, for it comes in that one's place.
   */
  name(digits: string): string {
    this.#node = this.#prefix + digits
    return this.#pathOf(this.#node)
  }

  /** The transaction that created it, where another call has found it out. */
  made(czxid: bigint): void {
    this.#czxid = czxid
  }

  list(): Promise<readonly string[]> {
    const listing = this.session.run(getChildren(this.directory))
    this.#listed?.()
    return listing
  }

  /** Where it stands; `absent` when its node is gone. */
  placeIn(listing: readonly string[]): Place {
    return this.#node === undefined ? { kind: 'absent' } : placeOf(this.#node, listing, this.queue.names)
  }

  /** Whether the node is a leftover of this very request, which nobody else will ever take away. */
  isOwnLeftover(node: string): boolean {
    return node !== this.#node && this.queue.names.read(node)?.requestId === this.#requestId
  }

  /** Deletes one of its leftovers. */
  async sweep(node: string): Promise<void> {
    await erase(this.session, this.#pathOf(node))
  }

  /** Deletes its node, within the operation timeout; what fails goes on as `withdraw`. Rejects with `OperationError`. */
  async release(): Promise<Withdrawal> {
    const path = this.path
    if (this.#withdrawal !== undefined || path === undefined) return this.withdraw()
    try {
      await this.session.run(remove(path))
      return 'deleted'
    } catch (error) {
      if (isCode(error, CODE.noNode)) return 'absent'
      if (isFailure(error, 'session-lost') || isFailure(error, 'closed')) return 'session-lost'
      this.#withdrawal = erase(this.session, path, 2)
      this.#withdrawal.catch(() => undefined)
      throw error
    }
  }

  /**
   * Deletes whatever it has left, however often the connection breaks, until the server has said so or the session is over. Never
   * rejects but for what the server refuses. Idempotent.
   */
  withdraw(): Promise<Withdrawal> {
    this.#withdrawal ??= this.#withdraw()
    return this.#withdrawal
  }

  #pathOf(node: string): string {
    return `${this.directory}/${node}`
  }

  #take({ path, czxid }: Created): void {
    this.#node = path.slice(this.directory.length + 1)
    this.#czxid = czxid
    this.#isUncertain = false
  }

  async #recover(error: unknown, round: number): Promise<readonly string[] | undefined> {
    if (isCode(error, CODE.noNode)) {
      const problem = await makeParents(this.session, this.#pathOf('x'), this.queue.parentMode)
      if (problem !== undefined && round > 1) throw problem
      return undefined
    }
    if (!isFailure(error, 'cut')) throw error
    return this.#lookUp()
  }

  /** After a cut: was the node created? The server that we are connected to now may have to catch up first. */
  async #lookUp(): Promise<readonly string[] | undefined> {
    try {
      // One after the other: what the first has seen, no later connection is behind.
      await this.session.run(sync(this.directory))
      const listing = await this.list()
      if (this.#node !== undefined) return listing
      for (const node of this.#leftoversIn(listing)) {
        const { stat } = await this.session.run(getData(this.#pathOf(node)))
        if (stat.ephemeralOwner !== this.session.id) continue
        this.#take({ path: this.#pathOf(node), czxid: stat.czxid })
        return listing
      }
      return undefined
    } catch (error) {
      if (isCode(error, CODE.noNode)) return undefined
      throw error
    }
  }

  async #withdraw(): Promise<Withdrawal> {
    if (this.#node !== undefined) return erase(this.session, this.#pathOf(this.#node))
    if (!this.#isUncertain) return 'absent'
    try {
      // The reply may still come: what is asked now is answered after it. One after the other: what the first has seen, no later
      // connection is behind.
      await this.session.runPatiently(sync(this.directory))
      const leftovers = this.#leftoversIn(await this.session.runPatiently(getChildren(this.directory)))
      await Promise.all(leftovers.map(node => erase(this.session, this.#pathOf(node))))
      return leftovers.length === 0 ? 'absent' : 'deleted'
    } catch (error) {
      if (isFailure(error, 'session-lost') || isFailure(error, 'closed')) return 'session-lost'
      if (isCode(error, CODE.noNode)) return 'absent'
      throw error
    }
  }

  #leftoversIn(listing: readonly string[]): string[] {
    return listing.filter(node => this.isOwnLeftover(node))
  }
}

/** Deletes a node for certain: again after every cut, until the server has answered or the session is over. */
export async function erase(session: Session, path: string, firstAttempt = 1): Promise<Withdrawal> {
  for (let attempt = firstAttempt; ; attempt++) {
    try {
      await session.runPatiently(remove(path))
      return 'deleted'
    } catch (error) {
      if (isFailure(error, 'session-lost') || isFailure(error, 'closed')) return 'session-lost'
      // Nobody but us deletes it while the session lives, so a delete whose reply was lost has done it.
      if (isCode(error, CODE.noNode)) return attempt === 1 ? 'absent' : 'deleted'
      if (isFailure(error, 'cut')) continue
      throw error
    }
  }
}
