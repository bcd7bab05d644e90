import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import { InvalidArgumentError, UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { LeaseRequest } from '../ports/leases.ts'
import { Contender } from './contender.ts'
import type { ContenderNames } from './contenders.ts'
import type { Crowds } from './crowds.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import { HeldNode } from './held-node.ts'
import { getData } from './operations.ts'
import type { Layout } from './paths.ts'
import { lockDirectory } from './paths.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** What an acquisition works with. */
export interface AcquisitionParts {
  readonly sessions: Sessions
  readonly lifecycle: BackendLifecycle
  readonly names: ContenderNames
  readonly layout: Layout
  readonly waitingRoom: WaitingRoom
  readonly crowds: Crowds
}

/** One request's way to its turn. */
export interface AcquisitionRequest {
  readonly request: LeaseRequest
  /** Whether to wait for others; without, being behind somebody ends it. */
  readonly mayWait: boolean
  readonly signal: AbortSignal | undefined
  /** Called once others are seen to be before it. */
  readonly queued?: (() => void) | undefined
}

const ATTEMPTS_MAX = 10

/** Somebody else deleted the node that waited. */
class OustedError extends Error {}

/**
 * Curator's recipe: create an ephemeral sequential node, list, and be the first or watch the one before.
 *
 * The token is our node's czxid, the transaction that created it, which the create's own reply tells. Tokens grow in the order of
 * grants: that is the order of the sequence numbers, and those are given in the order of creation. A parent that is deleted and
 * made anew begins again with the number 0 (so the numbers are no tokens), but it can only be deleted when it has no children, so
 * who contends in the new one was created after everybody who held in the old one; and the transactions of an ensemble are
 * numbered once and for all. It does not matter which server tells it. Anybody can read it from the node as well, which is how
 * `inspect` shows the token of a lease that another process holds.
 */
export class Acquisition {
  readonly #parts: AcquisitionParts
  readonly #request: LeaseRequest
  readonly #mayWait: boolean
  readonly #signal: AbortSignal | undefined
  readonly #queued: (() => void) | undefined

  constructor(parts: AcquisitionParts, { request, mayWait, signal, queued }: AcquisitionRequest) {
    this.#parts = parts
    this.#request = request
    this.#mayWait = mayWait
    this.#signal = signal
    this.#queued = queued
  }

  /** Undefined when others hold it and it may not wait. Rejects when aborted, at its next step: its caller need not wait for that. */
  async run(): Promise<HeldNode | undefined> {
    for (let attempt = 1; ; attempt++) {
      this.#checkWanted()
      const session = await this.#session()
      try {
        return await this.#contendIn(session)
      } catch (error) {
        // The place in the queue went with the session, or with the node: it begins anew.
        const isOver = !(error instanceof OustedError) && !isFailure(error, 'session-lost')
        if (isOver) throw toHoldfastError(error, this.#parts.sessions.server)
        if (attempt === ATTEMPTS_MAX) throw this.#unlucky(error)
      }
    }
  }

  async #session(): Promise<Session> {
    const { sessions } = this.#parts
    const session = sessions.current.isMade ? sessions.current : await sessions.made()
    const { ttlMs } = this.#request
    if (ttlMs !== undefined) checkTtl(ttlMs, session)
    this.#checkWanted()
    return session
  }

  async #contendIn(session: Session): Promise<HeldNode | undefined> {
    const { layout, names, crowds } = this.#parts
    const { resource, requestId, meta } = this.#request
    const directory = lockDirectory(layout, resource)
    const contender = new Contender(session, directory, requestId, names)
    let held: HeldNode | undefined
    session.heartbeat.need()
    try {
      const listing = await contender.enter(Buffer.from(meta), crowds.has(directory))
      crowds.note(directory, contender.placeIn(listing).kind === 'first')
      held = await this.#takeTurn(contender, listing)
      return held
    } finally {
      if (held === undefined) {
        session.heartbeat.unneed()
        // Goes on by itself, and ends with the session at the latest; what the server refuses to delete is not ours to force.
        contender.withdraw().catch(() => undefined)
      }
    }
  }

  async #takeTurn(contender: Contender, entered: readonly string[]): Promise<HeldNode | undefined> {
    let listing = entered
    this.#checkWanted()
    for (;;) {
      const place = contender.placeIn(listing)
      switch (place.kind) {
        case 'first':
          return this.#hold(contender)
        case 'absent':
          throw new OustedError()
        case 'behind':
          this.#queued?.()
          if (contender.isOwnLeftover(place.predecessor)) await contender.sweep(place.predecessor)
          else if (this.#mayWait)
            await this.#untilChanged(contender.session, `${contender.directory}/${place.predecessor}`)
          else return undefined
      }
      this.#checkWanted()
      listing = await this.#list(contender)
    }
  }

  async #list(contender: Contender): Promise<readonly string[]> {
    try {
      return await contender.list()
    } catch (error) {
      // A node with children cannot go, so ours went before it.
      throw isCode(error, CODE.noNode) ? new OustedError() : error
    }
  }

  /**
   * Until the node before ours changes, goes, or the connection breaks: whichever it was, the next listing tells. `getData` sets
   * the watch, since one set by `exists` on a node that is gone would stay for good.
   */
  #untilChanged(session: Session, path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (how: () => void): void => {
        this.#parts.waitingRoom.leave(wake)
        session.watches.remove(path, wake)
        stopListening()
        how()
      }
      const wake = (): void => settle(resolve)
      this.#parts.waitingRoom.enter(wake)
      session.watches.add(path, wake)
      const stopListening = onAbort(this.#signal, wake)
      session.run(getData(path, true)).catch((error: unknown) => {
        if (isCode(error, CODE.noNode)) wake()
        else settle(() => reject(error))
      })
    })
  }

  async #hold(contender: Contender): Promise<HeldNode> {
    const { session } = contender
    this.#checkWanted()
    // What a listing proves is the order, not that the session lives: any server answers it.
    if (session.deadline === undefined || session.deadline.remainingMs() < session.deadline.lengthMs / 2) {
      await session.heartbeat.beat()
      this.#checkWanted()
    }
    const { deadline } = session
    if (deadline === undefined || deadline.remainingMs() <= 0) {
      throw new UnavailableError(`Nothing of the session was left when "${this.#request.resource}" was granted.`)
    }
    return new HeldNode(this.#request, contender, new FencingToken(contender.czxid), deadline)
  }

  #checkWanted(): void {
    this.#signal?.throwIfAborted()
    this.#parts.lifecycle.checkOpen()
  }

  #unlucky(cause: unknown): UnavailableError {
    const what = `Its place in the queue for "${this.#request.resource}" was lost ${ATTEMPTS_MAX} times`
    return new UnavailableError(`${what}, with the session or because somebody deleted its node.`, { cause })
  }
}

/**
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a TTL that is shorter than the session's timeout
 */
export function checkTtl(ttlMs: number, session: Session): void {
  if (ttlMs >= session.timeoutMs) return
  throw new InvalidArgumentError(
    'ttlMs',
    `Expected \`ttlMs\` to be at least ${session.timeoutMs}, the milliseconds of the session with ZooKeeper, with which a lease` +
      ` lives and dies, got ${ttlMs}.`,
  )
}
