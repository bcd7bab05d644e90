import type { Claim, ClaimParts, Claimed } from './claims.ts'
import { Contender, OustedError } from './contender.ts'
import { CODE, OperationError, isCode } from './errors.ts'
import type { Stat } from './jute.ts'
import { exists, getChildren } from './operations.ts'
import type { Contending } from './naming.ts'
import { makeParents } from './parents.ts'
import { agreeOnLimit } from './permit-limit.ts'
import type { Queue } from './queues.ts'
import { poolOf } from './queues.ts'
import { replaceNode } from './replace-node.ts'

const NOBODY: readonly string[] = []
const ROUNDS_MAX = 20

/**
 * Of who wants a permit, after Curator's InterProcessSemaphoreV2 and kazoo's Semaphore: only the first of the queue looks for a permit,
 * so nobody is overtaken and one alone wakes when one is given back. Both recipes make the node of the permit and then leave the
 * queue; here the one takes the place of the other in one transaction, so nobody counts twice, and no permit is ever made by somebody
 * who has lost his place.
 *
 * Who then finds more permits than his limit allows has met somebody with another limit. He waits with his own standing, as Curator
 * does, until there are few enough.
 */
export class PermitClaim implements Claim {
  readonly isTurnEnough = false
  readonly #parts: ClaimParts
  readonly #limit: number
  readonly #pool: Queue
  readonly #permit: Contender
  #children: Promise<readonly string[]> | undefined
  #mayHaveTaken = false

  constructor(parts: ClaimParts, limit: number) {
    const { session, request } = parts
    this.#parts = parts
    this.#limit = limit
    this.#pool = poolOf(parts, request.resource)
    this.#permit = new Contender({ session, queue: this.#pool, requestId: request.requestId, side: 'shared' })
  }

  get mayHaveTaken(): boolean {
    return this.#mayHaveTaken
  }

  async prepare(): Promise<void> {
    if (this.#parts.naming.kind === 'kazoo') await agreeOnLimit(this.#parts, this.#pool.directory, this.#limit)
  }

  listed(): void {
    this.#children = this.#list()
    this.#children.catch(() => undefined)
  }

  async hasRoomBehind(ahead: readonly Contending[]): Promise<boolean> {
    const children = await (this.#children ?? this.#list())
    const permits = children.flatMap(node => this.#pool.names.read(node)?.requestId ?? [])
    // Who went from the one to the other between the two listings is in both, by the same id if he is one of us.
    const wanted = new Set([...permits, ...ahead.map(({ requestId }) => requestId)])
    return wanted.size < this.#limit
  }

  async take(contender: Contender): Promise<Claimed | undefined> {
    const { session, patience } = this.#parts
    let children = await (this.#children ?? this.#list())
    let isMade = false
    for (;;) {
      patience.checkWanted()
      const hasRoom = this.#taken(children) < this.#limit
      if (isMade && this.#permit.placeIn(children).kind === 'absent') throw new OustedError()
      if (hasRoom && isMade) return { contender: this.#permit, token: this.#permit.czxid }
      if (hasRoom) {
        children = await this.#make(contender)
        isMade = true
        continue
      }
      patience.queued()
      if (!patience.mayWait) return undefined
      await patience.untilChanged(
        session,
        this.#pool.directory,
        getChildren(this.#pool.directory, true),
        now => this.#taken(now) < this.#limit,
      )
      children = await this.#list()
    }
  }

  withdraw(): void {
    this.#permit.withdraw().catch(() => undefined)
  }

  /** Makes the permit's node out of the one in the queue; answers who has permits then. */
  async #make(contender: Contender): Promise<readonly string[]> {
    const { naming, session, request } = this.#parts
    const to = this.#permit.name(naming.kind === 'curator' ? contender.digits : '')
    this.#mayHaveTaken = true
    const replacement = { from: contender.path ?? '', to, data: Buffer.from(request.meta) }
    for (let round = 1; ; round++) {
      const replacing = replaceNode(session, replacement)
      // Behind the transaction, before its reply.
      const looking = this.#look(to)
      looking.catch(() => undefined)
      const outcome = await replacing
      if (outcome === 'gone') throw new OustedError()
      if (outcome === 'replaced') {
        const [stat, children] = await looking.catch(() => this.#look(to))
        this.#permit.made(stat.czxid)
        return children
      }
      const problem = await makeParents(session, to, this.#pool.parentMode)
      if (problem !== undefined && round > 1) throw problem
      if (round === ROUNDS_MAX) throw new OperationError({ kind: 'refused', code: CODE.noNode })
    }
  }

  async #look(permit: string): Promise<readonly [Stat, readonly string[]]> {
    try {
      return await Promise.all([this.#parts.session.run(exists(permit)), this.#list()])
    } catch (error) {
      throw isCode(error, CODE.noNode) ? new OustedError() : error
    }
  }

  #list(): Promise<readonly string[]> {
    const { session } = this.#parts
    return session.run(getChildren(this.#pool.directory)).catch((error: unknown) => {
      if (isCode(error, CODE.noNode)) return NOBODY
      throw error
    })
  }

  #taken(children: readonly string[]): number {
    return takenByOthers(children, this.#pool, this.#parts.request.requestId)
  }
}

/** How many of the children of a pool are permits of others than this request. */
function takenByOthers(children: readonly string[], { names }: Queue, requestId: string): number {
  return children.filter(node => (names.read(node)?.requestId ?? requestId) !== requestId).length
}
