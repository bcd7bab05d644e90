import type { BackendLifecycle } from '../backend.ts'
import { RefusedError } from '../errors.ts'
import type { BarrierStore, BarrierWait, Membership, PartyRequest } from '../ports/barriers.ts'
import type { PartyParts } from './barriers-party.ts'
import { PartyNode } from './barriers-party.ts'
import { Vigil } from './barriers-vigil.ts'
import { CallDeadlines } from './calls.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import { MODE, NO_DATA, create, exists, getData, remove } from './operations.ts'
import { makeParents } from './parents.ts'
import { lockDirectory } from './paths.ts'
import { present } from './record-directory.ts'
import type { Session } from './session.ts'
import { Undertaking } from './undertaking.ts'

/** What a `ZooKeeperBarrierStore` works with. */
export interface BarrierParts extends Omit<PartyParts, 'vigil'> {
  readonly lifecycle: BackendLifecycle
  readonly operationTimeoutMs: number
}

const SHUT = Symbol('shut')
const OPEN = Symbol('open')

/**
 * Barriers as Curator and kazoo have them: a barrier is shut while its node is there. A lock, a double barrier and a barrier of one name
 * would be one node, so they need names of their own.
 */
export class ZooKeeperBarrierStore implements BarrierStore {
  readonly #parts: BarrierParts
  readonly #deadlines: CallDeadlines
  readonly #vigils = new Set<Vigil>()

  constructor(parts: BarrierParts) {
    this.#parts = parts
    this.#deadlines = new CallDeadlines(parts.clock, parts.operationTimeoutMs, () => parts.sessions.cause)
  }

  async shut(barrier: string, signal?: AbortSignal): Promise<void> {
    const path = this.#pathOf(barrier)
    await this.#undertake(signal, async (session, round) => {
      try {
        await session.run(create(path, NO_DATA, MODE.persistent, session.acl))
      } catch (error) {
        if (isCode(error, CODE.nodeExists)) return SHUT
        if (!isCode(error, CODE.noNode)) throw error
        const problem = await makeParents(session, path, this.#parts.parentMode)
        if (problem !== undefined && round > 1) throw problem
        return undefined
      }
      return SHUT
    })
  }

  async open(barrier: string, signal?: AbortSignal): Promise<void> {
    const path = this.#pathOf(barrier)
    await this.#undertake(signal, async session => {
      try {
        await session.run(remove(path))
      } catch (error) {
        if (isCode(error, CODE.notEmpty)) {
          throw new RefusedError(
            `The barrier "${barrier}" cannot be opened: the node ${path} has children. On ZooKeeper a barrier needs a name that no lock and no double barrier has.`,
            { cause: error },
          )
        }
        if (!isCode(error, CODE.noNode)) throw error
      }
      return OPEN
    })
  }

  async isShut(barrier: string, signal?: AbortSignal): Promise<boolean> {
    const path = this.#pathOf(barrier)
    const stat = await this.#undertake(signal, async session => ({ node: await present(session, exists(path)) }))
    return stat.node !== undefined
  }

  async untilOpen(barrier: string, wait: BarrierWait = {}): Promise<void> {
    const path = this.#pathOf(barrier)
    let shutAs: bigint | undefined
    await this.#keepVigil(vigil =>
      vigil.until(wait, async session => {
        vigil.watch(session, path)
        const node = await present(session, getData(path, true))
        // Another node: it was opened and shut again in between.
        if (node === undefined || (shutAs !== undefined && node.stat.czxid !== shutAs)) return OPEN
        shutAs = node.stat.czxid
        return undefined
      }),
    )
  }

  async enter(request: PartyRequest, wait: BarrierWait = {}): Promise<Membership> {
    const party = new PartyNode({ ...this.#parts, vigil: work => this.#keepVigil(work) }, request)
    await party.enter(wait)
    return party
  }

  /** Rejects everybody who waits. */
  close(): void {
    for (const vigil of this.#vigils) vigil.close()
  }

  #pathOf(barrier: string): string {
    return lockDirectory(this.#parts.layout, barrier)
  }

  async #keepVigil<T>(work: (vigil: Vigil) => Promise<T>): Promise<T> {
    this.#parts.lifecycle.checkOpen()
    const vigil = new Vigil(this.#parts)
    this.#vigils.add(vigil)
    try {
      return await work(vigil)
    } finally {
      this.#vigils.delete(vigil)
    }
  }

  /** Repeats what does no harm when it is done twice, within the operation timeout, until it answers something. */
  async #undertake<T>(
    signal: AbortSignal | undefined,
    step: (session: Session, round: number) => Promise<T | undefined>,
  ): Promise<T> {
    const { lifecycle, sessions } = this.#parts
    lifecycle.checkOpen()
    signal?.throwIfAborted()
    const undertaking = new Undertaking(this.#deadlines)
    const work = async (): Promise<T> => {
      for (let round = 1; ; round += 1) {
        undertaking.checkWanted()
        try {
          const done = await step(sessions.current, round)
          if (done !== undefined) return done
        } catch (error) {
          if (!isFailure(error, 'cut') && !isFailure(error, 'session-lost')) throw error
        }
      }
    }
    try {
      return await undertaking.run(signal, work)
    } catch (error) {
      throw toHoldfastError(error, sessions.server)
    }
  }
}
