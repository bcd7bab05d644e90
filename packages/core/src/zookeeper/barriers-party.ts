import { together } from '../barriers/together.ts'
import { listTogether } from './barriers-listing.ts'
import { erase } from './contender.ts'
import type { BarrierWait, Membership, PartyRequest } from '../ports/barriers.ts'
import { CODE, OperationError, isCode } from './errors.ts'
import type { Step } from './multi.ts'
import { multi } from './multi.ts'
import type { Mode } from './operations.ts'
import { MODE, NO_DATA, create, exists, getData } from './operations.ts'
import { makeParents } from './parents.ts'
import type { Layout } from './paths.ts'
import { lockDirectory } from './paths.ts'
import { present } from './record-directory.ts'
import type { Session } from './session.ts'
import type { BirthWatch, Vigil, VigilParts } from './barriers-vigil.ts'

/** What parties work with. */
export interface PartyParts extends VigilParts {
  readonly layout: Layout
  /** Of a party's node: never the same twice. */
  readonly newName: () => string
  /** How the nodes above are made: kazoo makes theirs once and for all, Curator makes them anew when they are gone. */
  readonly parentMode: Mode
  readonly vigil: <T>(work: (vigil: Vigil) => Promise<T>) => Promise<T>
}

/** Our node, in the session that made it. */
interface OwnNode {
  readonly session: Session
  readonly name: string
  /** Undefined while nobody knows whether it was made, or when. */
  czxid: bigint | undefined
}

const READY = 'ready'
const ANY_VERSION = -1

/**
 * One party's stay in a double barrier, in the layout of Curator and kazoo: an ephemeral node below the barrier's, and `ready` beside
 * it once enough of them are there.
 *
 * Where we do more than they: `ready` of parties who all died inside is taken for what it is; and who leaves waits for those who were
 * in when he began, so that others who already come for the next time do not keep him. Curator and kazoo take no part in this, and
 * need not: both of our writes to `ready` also touch or check the version of the barrier's node, of which they know nothing.
 *
 * @see https://zookeeper.apache.org/doc/current/recipes.html#sc_doubleBarriers
 */
export class PartyNode implements Membership {
  readonly #parts: PartyParts
  readonly #request: PartyRequest
  readonly #directory: string
  readonly #ready: string
  #own: OwnNode | undefined
  #birth: BirthWatch | undefined
  #leaving: Promise<unknown> | undefined

  constructor(parts: PartyParts, request: PartyRequest) {
    this.#parts = parts
    this.#request = request
    this.#directory = lockDirectory(parts.layout, request.barrier)
    this.#ready = `${this.#directory}/${READY}`
  }

  async enter(wait: BarrierWait): Promise<void> {
    try {
      await this.#parts.vigil(vigil => vigil.until(wait, session => this.#lookIn(vigil, session)))
    } catch (error) {
      void this.#goAway()
      throw error
    }
  }

  async leave(wait: BarrierWait = {}): Promise<void> {
    const seen = new Departure()
    try {
      await this.#parts.vigil(vigil => vigil.until(wait, session => this.#lookOut(vigil, session, seen)))
    } finally {
      void this.#goAway()
    }
    // Should this fail, the next who comes sees that nobody of them is left.
    await this.#takeAwayReady(this.#parts.sessions.current, seen.version ?? ANY_VERSION).catch(() => undefined)
  }

  async #lookIn(vigil: Vigil, session: Session): Promise<true | 'again' | undefined> {
    const own = this.#ownIn(session)
    const hasCome = this.#birth?.hasFired === true
    const birth = vigil.watchBirth(session, this.#ready)
    // In one go, and in this order: what is counted is not older than our node, and the version not newer than `ready`.
    const [, barrier, ready, node] = await Promise.all([
      this.#make(own),
      present(session, exists(this.#directory)),
      present(session, exists(this.#ready, true)),
      present(session, exists(`${this.#directory}/${own.name}`)),
    ])
    if (barrier === undefined) return this.#makeBarrier(session)
    // Its session lives and it is gone: somebody deleted it.
    if (node === undefined) return this.#forgetOwn()
    // It may have gone again: kazoo takes it away as soon as the first one leaves.
    if (hasCome) return true
    if (ready === undefined) {
      birth.arm()
      this.#birth = birth
      // Who comes counts; only who may be the last looks who they are.
      if (barrier.childCount < this.#request.parties) return undefined
    }
    const children = await listTogether(session, this.#directory)
    if (children === undefined || !children.includes(own.name)) return 'again'
    const others = children.filter(name => name !== READY && name !== own.name)
    if (ready === undefined) return others.length + 1 >= this.#request.parties ? this.#open(session) : undefined
    if (await this.#isFor(session, ready.czxid, { own, others })) return true
    await this.#takeAwayReady(session, barrier.version)
    return 'again'
  }

  async #lookOut(vigil: Vigil, session: Session, seen: Departure): Promise<true | 'again' | undefined> {
    // In this order: the version is not newer than what is listed.
    const [version, children] = await Promise.all([
      seen.version ?? present(session, exists(this.#directory)).then(barrier => barrier?.version),
      listTogether(session, this.#directory),
    ])
    seen.version = version
    if (children === undefined) return true
    const own = this.#own?.name ?? ''
    // It counted as gone already. Without `ready` nobody is in: who is there comes for the next time, and may wait for us.
    const isGone = this.#leaving === undefined && !children.includes(own)
    if (isGone && (await present(session, exists(this.#ready))) === undefined) return true
    const others = seen.othersIn(children, own)
    const [lowest] = others
    if (lowest === undefined) {
      await this.#goAway()
      return true
    }
    // As the recipe has it: the lowest stays until the last of the others is gone, and those wait for the lowest.
    const isLowest = this.#leaving === undefined && children.includes(own) && own < lowest
    if (!isLowest) await this.#goAway()
    const path = `${this.#directory}/${isLowest ? (others.at(-1) ?? lowest) : lowest}`
    vigil.watch(session, path)
    // Not by `exists`, whose watch on a node that is gone would stay.
    return (await present(session, getData(path, true))) === undefined ? 'again' : undefined
  }

  /** In another session it is another node: the server may still list the old one, until it ends the old session. */
  #ownIn(session: Session): OwnNode {
    if (this.#own?.session !== session) {
      this.#own = { session, name: this.#parts.newName(), czxid: undefined }
      this.#birth = undefined
    }
    return this.#own
  }

  #forgetOwn(): 'again' {
    this.#own = undefined
    return 'again'
  }

  async #make(own: OwnNode): Promise<void> {
    const { session, name } = own
    if (own.czxid !== undefined) return
    const path = `${this.#directory}/${name}`
    try {
      const data = new TextEncoder().encode(this.#request.meta)
      own.czxid = (await session.run(create(path, data, MODE.ephemeral, session.acl))).czxid
    } catch (error) {
      // Ours: made before the connection broke.
      if (isCode(error, CODE.nodeExists)) own.czxid = (await present(session, exists(path)))?.czxid
      else if (!isCode(error, CODE.noNode)) throw error
    }
  }

  async #makeBarrier(session: Session): Promise<'again'> {
    const problem = await makeParents(session, this.#ready, this.#parts.parentMode)
    // Who may not write further up is refused there also where all is well.
    if (problem !== undefined && (await present(session, exists(this.#directory))) === undefined) throw problem
    return 'again'
  }

  /** Whether this `ready` is for us, or for somebody who is still in. */
  async #isFor(
    session: Session,
    readyCzxid: bigint,
    { own, others }: { readonly own: OwnNode; readonly others: readonly string[] },
  ): Promise<boolean> {
    if (own.czxid !== undefined && own.czxid < readyCzxid) return true
    // Most often the first one tells.
    for (let from = 0, count = 1; from < others.length; from += count, count *= 8) {
      const some = others.slice(from, from + count)
      const stats = await Promise.all(some.map(name => present(session, exists(`${this.#directory}/${name}`))))
      if (stats.some(stat => stat !== undefined && stat.czxid < readyCzxid)) return true
    }
    return false
  }

  async #open(session: Session): Promise<true | 'again'> {
    const steps: readonly Step[] = [
      { kind: 'create', path: this.#ready, data: NO_DATA },
      { kind: 'set', path: this.#directory, data: NO_DATA, version: ANY_VERSION },
    ]
    const outcome = await together(session, `${this.#ready} comes`, () => session.run(multi(steps, session.acl)))
    // Where another was faster: it was not there when ours was already, so it is for us.
    if (outcome.kind === 'done' || outcome.code === CODE.nodeExists) return true
    if (outcome.code === CODE.noNode) return 'again'
    throw new OperationError({ kind: 'refused', code: outcome.code })
  }

  /** Unless it is another by now. */
  async #takeAwayReady(session: Session, version: number): Promise<void> {
    const steps: readonly Step[] = [
      { kind: 'check', path: this.#directory, version },
      { kind: 'delete', path: this.#ready, version: ANY_VERSION },
    ]
    const what = `${this.#ready} goes ${version}`
    const outcome = await together(session, what, () => session.run(multi(steps, session.acl)))
    if (outcome.kind === 'done' || outcome.code === CODE.noNode || outcome.code === CODE.badVersion) return
    throw new OperationError({ kind: 'refused', code: outcome.code })
  }

  /** However often the connection breaks; the session's end does it as well. */
  #goAway(): Promise<unknown> {
    const own = this.#own
    if (own === undefined) return Promise.resolve()
    this.#leaving ??= erase(own.session, `${this.#directory}/${own.name}`).catch(() => undefined)
    return this.#leaving
  }
}

/** Who was in when one began to leave. */
class Departure {
  version: number | undefined
  #before: ReadonlySet<string> | undefined

  /** Those of them who still are, lowest first. */
  othersIn(children: readonly string[], own: string): readonly string[] {
    const others = children.filter(name => name !== READY && name !== own)
    const before = (this.#before ??= new Set(others))
    return others.filter(name => before.has(name)).sort()
  }
}
