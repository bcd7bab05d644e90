import { InvariantError } from '../errors.ts'
import type { BeatOutcome, EphemeralRequest, Stay } from '../ports/records.ts'
import { randomId } from '../records/revision.ts'
import type { CommitParts } from './commit.ts'
import { erase } from './contender.ts'
import { newMeta } from './directory-meta.ts'
import { CODE, OperationError, isCode, isFailure } from './errors.ts'
import type { Step } from './multi.ts'
import { multi } from './multi.ts'
import { MODE, NO_DATA, create, exists, getChildren, remove } from './operations.ts'
import { makeParents } from './parents.ts'
import { ephemeralOf, ephemeralStep, ephemeralsPath, recordDirectory } from './paths.ts'
import { directorySteps, present } from './record-directory.ts'
import type { Session } from './session.ts'
import type { Undertaking } from './undertaking.ts'

const ANY_VERSION = -1

/**
 * One owner's ephemeral record: an ephemeral node with the owner in its name. Who comes later deletes those who came before him,
 * and until he has done so readers go by who was created last; so whatever an owner does late, he does to his own node or to none.
 */
export class EphemeralNode {
  readonly #parts: CommitParts
  readonly #request: EphemeralRequest
  readonly #undertaking: Undertaking
  readonly #directory: string
  readonly #parent: string
  readonly #path: string

  constructor(parts: CommitParts, request: EphemeralRequest, undertaking: Undertaking) {
    this.#parts = parts
    this.#request = request
    this.#undertaking = undertaking
    this.#directory = recordDirectory(parts.layout, request.directory)
    this.#parent = ephemeralsPath(this.#directory)
    this.#path = `${this.#parent}/${ephemeralStep(request)}`
  }

  async join(): Promise<Stay> {
    for (let round = 1; ; round++) {
      this.#undertaking.checkWanted()
      const session = this.#parts.sessions.current
      try {
        await this.#enter(session)
        return stayOf(session)
      } catch (error) {
        await this.#repair(session, error, round)
      }
    }
  }

  async beat(value: Uint8Array | undefined): Promise<BeatOutcome> {
    // Writing, if only a check, goes through the quorum: it proves that the session lives.
    const steps: readonly Step[] =
      value === undefined
        ? [{ kind: 'check', path: this.#path, version: ANY_VERSION }]
        : [
            { kind: 'set', path: this.#path, data: value, version: ANY_VERSION },
            { kind: 'set', path: this.#parent, data: NO_DATA, version: ANY_VERSION },
          ]
    for (;;) {
      this.#undertaking.checkWanted()
      const session = this.#parts.sessions.current
      try {
        const outcome = await session.run(multi(steps, session.acl))
        if (outcome.kind === 'done') return { kind: 'kept', ...stayOf(session) }
        if (outcome.code !== CODE.noNode) throw new OperationError({ kind: 'refused', code: outcome.code })
        return { kind: (await this.#isReplaced(session)) ? 'replaced' : 'gone' }
      } catch (error) {
        if (isFailure(error, 'session-lost')) return { kind: 'gone' }
        // To say it twice does no harm.
        if (!isFailure(error, 'cut')) throw error
      }
    }
  }

  /** However often the connection breaks: what does not fit into the time of the call goes on behind it. */
  async leave(): Promise<'left' | 'lost'> {
    return (await erase(this.#parts.sessions.current, this.#path)) === 'deleted' ? 'left' : 'lost'
  }

  async #enter(session: Session): Promise<void> {
    // In one go: what is listed is not older than our node.
    const [created, names] = await Promise.all([
      session.run(create(this.#path, this.#request.value, MODE.ephemeral, session.acl)),
      session.run(getChildren(this.#parent)),
    ])
    await this.#replaceOthers(session, created.czxid, names)
  }

  async #replaceOthers(session: Session, czxid: bigint, names: readonly string[]): Promise<void> {
    for (const name of names) {
      const { id, owner } = ephemeralOf(name)
      if (id !== this.#request.id || owner === this.#request.owner) continue
      const path = `${this.#parent}/${name}`
      const stat = await present(session, exists(path))
      if (stat !== undefined && stat.czxid < czxid) await present(session, remove(path))
    }
  }

  async #repair(session: Session, error: unknown, round: number): Promise<void> {
    // It has joined before, perhaps in a session that is over and takes the node with it: it is made anew.
    if (isCode(error, CODE.nodeExists)) await present(session, remove(this.#path))
    else if (isCode(error, CODE.noNode)) await this.#makeDirectory(session, round)
    else if (!isFailure(error, 'cut') && !isFailure(error, 'session-lost')) throw error
  }

  async #makeDirectory(session: Session, round: number): Promise<void> {
    const { random, ephemeralsAcl } = this.#parts
    const steps = directorySteps(this.#directory, newMeta(randomId(random)), ephemeralsAcl)
    const outcome = await session.run(multi(steps, session.acl))
    if (outcome.kind === 'done') return
    const { code } = outcome
    if (code === CODE.noNode) {
      const problem = await makeParents(session, this.#directory, MODE.persistent)
      if (problem !== undefined && round > 2) throw problem
    } else if (code !== CODE.nodeExists) {
      throw new OperationError({ kind: 'refused', code })
    } else if (round > 2) {
      // Only a part of it is there: somebody deleted the rest.
      await session.run(create(this.#parent, NO_DATA, MODE.persistent, ephemeralsAcl)).catch(unlessThere)
    }
  }

  async #isReplaced(session: Session): Promise<boolean> {
    const names = (await present(session, getChildren(this.#parent))) ?? []
    return names.some(name => ephemeralOf(name).id === this.#request.id)
  }
}

function stayOf(session: Session): Stay {
  const { deadline, timeoutMs } = session
  // A write was answered, so there is one.
  if (deadline === undefined) throw new InvariantError('A session that was written in has no deadline.')
  return { deadline, ttlMs: timeoutMs }
}

function unlessThere(error: unknown): void {
  if (!isCode(error, CODE.nodeExists)) throw error
}
