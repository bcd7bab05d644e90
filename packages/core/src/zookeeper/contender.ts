import type { ContenderNames, Place } from './contenders.ts'
import { placeOf } from './contenders.ts'
import { CODE, isCode, isFailure } from './errors.ts'
import type { Created } from './operations.ts'
import { MODE, create, getChildren, getData, remove, sync } from './operations.ts'
import { makeParents } from './parents.ts'
import type { Session } from './session.ts'

/** What became of a node that was taken back: we deleted it, it was gone already, or it went with its session. */
export type Withdrawal = 'deleted' | 'absent' | 'session-lost'

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
  readonly directory: string
  readonly #requestId: string
  readonly #names: ContenderNames
  readonly #prefix: string
  #node: string | undefined
  #czxid = 0n
  // A create was sent and nobody knows what became of it.
  #isUncertain = false
  #withdrawal: Promise<Withdrawal> | undefined

  constructor(session: Session, directory: string, requestId: string, names: ContenderNames) {
    this.session = session
    this.directory = directory
    this.#requestId = requestId
    this.#names = names
    this.#prefix = names.prefixOf(requestId)
  }

  /** The full path of its node; undefined before `enter`. */
  get path(): string | undefined {
    return this.#node === undefined ? undefined : `${this.directory}/${this.#node}`
  }

  /** The transaction that created its node. */
  get czxid(): bigint {
    return this.#czxid
  }

  get isWithdrawing(): boolean {
    return this.#withdrawal !== undefined
  }

  /**
   * Creates the node and lists the contenders; in one round unless `inSteps`. Rejects with `OperationError`; then `withdraw` it.
   */
  async enter(data: Uint8Array, inSteps: boolean): Promise<readonly string[]> {
    for (let round = 1; ; round++) {
      this.#isUncertain = true
      const creating = this.session.run(
        create(`${this.directory}/${this.#prefix}`, data, MODE.ephemeralSequential, this.session.acl),
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

  list(): Promise<readonly string[]> {
    return this.session.run(getChildren(this.directory))
  }

  /** Where it stands; `absent` when its node is gone. */
  placeIn(listing: readonly string[]): Place {
    return this.#node === undefined ? { kind: 'absent' } : placeOf(this.#node, listing, this.#names)
  }

  /** Whether the node is a leftover of this very request, which nobody else will ever take away. */
  isOwnLeftover(node: string): boolean {
    return node !== this.#node && this.#names.requestIdOf(node) === this.#requestId
  }

  /** Deletes one of its leftovers. */
  async sweep(node: string): Promise<void> {
    await erase(this.session, `${this.directory}/${node}`)
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

  #take({ path, czxid }: Created): void {
    this.#node = path.slice(this.directory.length + 1)
    this.#czxid = czxid
    this.#isUncertain = false
  }

  async #recover(error: unknown, round: number): Promise<readonly string[] | undefined> {
    if (isCode(error, CODE.noNode)) {
      const problem = await makeParents(this.session, `${this.directory}/x`)
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
        const { stat } = await this.session.run(getData(`${this.directory}/${node}`))
        if (stat.ephemeralOwner !== this.session.id) continue
        this.#take({ path: `${this.directory}/${node}`, czxid: stat.czxid })
        return listing
      }
      return undefined
    } catch (error) {
      if (isCode(error, CODE.noNode)) return undefined
      throw error
    }
  }

  async #withdraw(): Promise<Withdrawal> {
    if (this.#node !== undefined) return erase(this.session, `${this.directory}/${this.#node}`)
    if (!this.#isUncertain) return 'absent'
    try {
      // The reply may still come: what is asked now is answered after it. One after the other: what the first has seen, no later
      // connection is behind.
      await this.session.runPatiently(sync(this.directory))
      const leftovers = this.#leftoversIn(await this.session.runPatiently(getChildren(this.directory)))
      await Promise.all(leftovers.map(node => erase(this.session, `${this.directory}/${node}`)))
      return leftovers.length === 0 ? 'absent' : 'deleted'
    } catch (error) {
      if (isFailure(error, 'session-lost') || isFailure(error, 'closed')) return 'session-lost'
      if (isCode(error, CODE.noNode)) return 'absent'
      throw error
    }
  }

  #leftoversIn(listing: readonly string[]): string[] {
    return listing.filter(node => this.isOwnLeftover(node) && this.#names.sequenceOf(node) !== undefined)
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
