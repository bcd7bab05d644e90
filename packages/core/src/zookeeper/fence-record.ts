import { UnavailableError, UnknownOutcomeError } from '../errors.ts'
import type { Fenced } from '../fencing/guard.ts'
import { refusedAsStale } from '../fencing/refusal.ts'
import { FencingToken } from '../fencing/token.ts'
import { CODE, isCode, isFailure } from './errors.ts'
import type { MultiOutcome, Step, StepResult } from './multi.ts'
import { multi } from './multi.ts'
import { MODE, getData, sync } from './operations.ts'
import { makeParents } from './parents.ts'
import type { Layout } from './paths.ts'
import { fencePath } from './paths.ts'
import type { Session } from './session.ts'

/** The newest token that the fence of a resource has seen, and its node's version. */
type Seen = { readonly kind: 'missing' } | { readonly kind: 'seen'; readonly token: bigint; readonly version: number }

/** All steps were done, or the one at `index` could not be and nothing was changed. */
export type FencedOutcome =
  | { readonly kind: 'done'; readonly results: readonly StepResult[] }
  | { readonly kind: 'failed'; readonly index: number; readonly code: number }

const MISSING: Seen = Object.freeze({ kind: 'missing' })
const ROUNDS_MAX = 20
const KNOWN_MAX = 10_000

/**
 * The fences of resources: for each a node that holds the newest token seen, which every write checks or advances in its own
 * transaction, by the node's version. What was seen is kept in mind, so a write costs one request; a version that is not the
 * node's any more only makes it look again.
 */
export class FenceRecords {
  readonly #layout: Layout
  readonly #server: string
  readonly #known = new Map<string, Seen>()
  #session: Session | undefined

  /** `server` is for messages. */
  constructor(layout: Layout, server: string) {
    this.#layout = layout
    this.#server = server
  }

  /**
   * Does the steps if the token is not stale. Rejects with `OperationError` when nothing was done.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN`
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME`
   */
  async apply(session: Session, { resource, token }: Fenced, steps: readonly Step[]): Promise<FencedOutcome> {
    const path = fencePath(this.#layout, resource)
    // The store may have lost its data with the session: then fences and tokens begin anew.
    if (session !== this.#session) this.#known.clear()
    this.#session = session
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      const seen = this.#known.get(resource) ?? (await this.#read(session, path, round))
      if (seen.kind === 'seen' && seen.token > token.value) {
        this.#remember(resource, seen)
        throw refusedAsStale('zookeeper', { resource, token }, new FencingToken(seen.token))
      }
      const outcome = await this.#commit(session, resource, [fenceStep(path, token, seen), ...steps])
      if (outcome.kind === 'done') {
        this.#remember(resource, { kind: 'seen', token: token.value, version: versionAfter(seen, token) })
        return { kind: 'done', results: outcome.results.slice(1) }
      }
      if (outcome.index > 0) return { kind: 'failed', index: outcome.index - 1, code: outcome.code }
      // Another has written to the fence, or there is none yet.
      this.#known.delete(resource)
      if (outcome.code === CODE.noNode) await makeParents(session, path, MODE.persistent)
      else if (outcome.code !== CODE.badVersion && outcome.code !== CODE.nodeExists) return outcome
    }
    throw new UnavailableError(`The fence of "${resource}" was written to by others ${ROUNDS_MAX} times in a row.`)
  }

  async #commit(session: Session, resource: string, steps: readonly Step[]): Promise<MultiOutcome> {
    try {
      return await session.run(multi(steps, session.acl))
    } catch (error) {
      // Whether the version has changed is as unknown as the rest.
      this.#known.delete(resource)
      if (!isFailure(error, 'cut') && !isFailure(error, 'timed-out') && !isFailure(error, 'session-lost')) throw error
      const what = `The transaction was sent to ZooKeeper at ${this.#server} and its answer never came`
      throw new UnknownOutcomeError(`${what}: all of it was done, or nothing.`, { cause: error })
    }
  }

  async #read(session: Session, path: string, round: number): Promise<Seen> {
    // What was just refused by the leader may not have reached the server that we read from.
    if (round > 1) await session.run(sync(path))
    try {
      const { data, stat } = await session.run(getData(path))
      return { kind: 'seen', token: FencingToken.parse(data.toString('latin1')).value, version: stat.version }
    } catch (error) {
      if (isCode(error, CODE.noNode)) return MISSING
      throw error
    }
  }

  #remember(resource: string, seen: Seen): void {
    this.#known.delete(resource)
    this.#known.set(resource, seen)
    if (this.#known.size <= KNOWN_MAX) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}

function fenceStep(path: string, token: FencingToken, seen: Seen): Step {
  if (seen.kind === 'missing') return { kind: 'create', path, data: Buffer.from(token.toString()) }
  if (seen.token === token.value) return { kind: 'check', path, version: seen.version }
  return { kind: 'set', path, data: Buffer.from(token.toString()), version: seen.version }
}

function versionAfter(seen: Seen, token: FencingToken): number {
  if (seen.kind === 'missing') return 0
  return seen.token === token.value ? seen.version : (seen.version + 1) | 0
}
