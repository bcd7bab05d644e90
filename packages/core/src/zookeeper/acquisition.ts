import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { InvalidArgumentError, UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { LeaseRequest } from '../ports/leases.ts'
import type { Claim, Claimed } from './claims.ts'
import { errandOf } from './claims.ts'
import { Contender, OustedError } from './contender.ts'
import { contendersInOrder } from './contenders.ts'
import type { Crowds } from './crowds.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import { HeldNode } from './held-node.ts'
import type { Contending } from './naming.ts'
import { getData } from './operations.ts'
import { Outlook } from './outlook.ts'
import { Patience } from './patience.ts'
import type { Locks } from './queues.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** What an acquisition works with. */
export interface AcquisitionParts extends Locks {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly lifecycle: BackendLifecycle
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
const RETRY_MS = 100
const FOR_EVER_MS = 2_147_483_647

/**
 * Curator's recipe: create an ephemeral sequential node, list, and be the first or watch the one before. Who is in whose way, and
 * what is still to do when nobody is, depends on the mode (`errandOf`).
 */
export class Acquisition {
  readonly #parts: AcquisitionParts
  readonly #request: LeaseRequest
  readonly #patience: Patience

  constructor(parts: AcquisitionParts, { request, mayWait, signal, queued }: AcquisitionRequest) {
    const { lifecycle, waitingRoom } = parts
    this.#parts = parts
    this.#request = request
    this.#patience = new Patience({ lifecycle, waitingRoom, mayWait, signal, queued })
  }

  /** Undefined when others hold it and it may not wait. Rejects when aborted, at its next step: its caller need not wait for that. */
  async run(): Promise<HeldNode | undefined> {
    for (let attempt = 1; ; attempt++) {
      this.#patience.checkWanted()
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
    this.#patience.checkWanted()
    return session
  }

  async #contendIn(session: Session): Promise<HeldNode | undefined> {
    const { crowds, sessions, naming, layout } = this.#parts
    const { requestId, meta } = this.#request
    const { queue, side, claim } = errandOf({
      naming,
      layout,
      session,
      request: this.#request,
      patience: this.#patience,
      server: sessions.server,
    })
    const contender = new Contender({ session, queue, requestId, side, listed: () => claim.listed() })
    let held: HeldNode | undefined
    session.heartbeat.need()
    try {
      await claim.prepare()
      const listing = await contender.enter(Buffer.from(meta), crowds.has(queue.directory))
      crowds.note(queue.directory, contender.placeIn(listing).kind === 'first')
      held = await this.#waitOn(contender, claim, listing)
      return held
    } finally {
      if (held === undefined) {
        session.heartbeat.unneed()
        // Goes on by itself, and ends with the session at the latest; what the server refuses to delete is not ours to force.
        contender.withdraw().catch(() => undefined)
        claim.withdraw()
      }
    }
  }

  /** Its turn, also when ZooKeeper is away for a while meanwhile: then it begins with another look, from the same place. */
  async #waitOn(contender: Contender, claim: Claim, entered: readonly string[]): Promise<HeldNode | undefined> {
    let listing: readonly string[] | undefined = entered
    for (;;) {
      this.#patience.checkWanted()
      try {
        listing ??= await this.#listAgain(contender)
        const claimed = await this.#takeTurn(contender, claim, listing)
        return claimed === undefined ? undefined : await this.#hold(claimed)
      } catch (error) {
        if (!this.#patience.outlasts(error)) throw error
        listing = undefined
      }
    }
  }

  async #listAgain(contender: Contender): Promise<readonly string[]> {
    const { clock, sessions } = this.#parts
    // What was refused for now is not to be asked at once again.
    await new Promise<void>(resolve => clock.setTimer(resolve, RETRY_MS, { background: false }))
    this.#patience.checkWanted()
    await sessions.connected(FOR_EVER_MS, this.#patience.signal)
    return await this.#list(contender)
  }

  async #takeTurn(contender: Contender, claim: Claim, entered: readonly string[]): Promise<Claimed | undefined> {
    let listing = entered
    this.#patience.checkWanted()
    for (;;) {
      const place = contender.placeIn(listing)
      switch (place.kind) {
        case 'first':
          return claim.take(contender)
        case 'absent':
          if (!claim.mayHaveTaken) throw new OustedError()
          return claim.take(contender)
        case 'behind': {
          if (contender.isOwnLeftover(place.predecessor)) {
            await contender.sweep(place.predecessor)
            break
          }
          const isToWait = this.#patience.mayWait || (await claim.hasRoomBehind(aheadOf(contender, listing)))
          this.#patience.queued()
          if (!isToWait) return undefined
          if (await this.#becomesFirst(contender, claim, listing, place.predecessor)) {
            this.#patience.checkWanted()
            return claim.take(contender)
          }
        }
      }
      this.#patience.checkWanted()
      listing = await this.#list(contender)
    }
  }

  /** Waits for the one before it. True when it is the first now, for certain; else the next listing tells. */
  async #becomesFirst(
    contender: Contender,
    claim: Claim,
    listing: readonly string[],
    predecessor: string,
  ): Promise<boolean> {
    const path = `${contender.directory}/${predecessor}`
    const waiting = this.#patience.untilChanged(contender.session, path, getData(path, true))
    const outlook = claim.isTurnEnough ? new Outlook(contender, listing, predecessor) : undefined
    try {
      const isGone = await waiting
      return isGone && outlook !== undefined && (await outlook.isTurn())
    } finally {
      outlook?.close()
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

  async #hold({ contender, token }: Claimed): Promise<HeldNode> {
    const { session } = contender
    this.#patience.checkWanted()
    // What a listing proves is the order, not that the session lives: any server answers it.
    if (session.deadline === undefined || session.deadline.remainingMs() < session.deadline.lengthMs / 2) {
      await session.heartbeat.beat()
      this.#patience.checkWanted()
    }
    const { deadline } = session
    if (deadline === undefined || deadline.remainingMs() <= 0) {
      throw new UnavailableError(`Nothing of the session was left when "${this.#request.resource}" was granted.`)
    }
    return new HeldNode(this.#request, contender, new FencingToken(token), deadline)
  }

  #unlucky(cause: unknown): UnavailableError {
    const what = `Its place in the queue for "${this.#request.resource}" was lost ${ATTEMPTS_MAX} times`
    return new UnavailableError(`${what}, with the session or because somebody deleted its node.`, { cause })
  }
}

/** Who stands before it. */
function aheadOf({ path, directory, queue }: Contender, listing: readonly string[]): readonly Contending[] {
  const inOrder = contendersInOrder(listing, queue.names)
  return inOrder.slice(
    0,
    inOrder.findIndex(({ node }) => `${directory}/${node}` === path),
  )
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
