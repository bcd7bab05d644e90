import { onAbort } from '../abort.ts'
import type { LeaseLostReason } from '../errors.ts'
import { UnavailableError } from '../errors.ts'
import type { Fenced } from '../fencing/guard.ts'
import type {
  Grant,
  GrantLostListener,
  LeaseInfo,
  LeaseKind,
  LeaseRequest,
  LeaseRevocation,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import type { AcquisitionParts, AcquisitionRequest } from './acquisition.ts'
import { Acquisition, checkTtl } from './acquisition.ts'
import type { Contender, Withdrawal } from './contender.ts'
import { downgradeNode } from './downgrade.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import { HeldNode } from './held-node.ts'
import { inspectLock } from './inspect.ts'
import { getData } from './operations.ts'
import { RevocationWatch, askHolders } from './revocation.ts'

/** What a `ZooKeeperLeaseStore` works with. */
export interface LeaseParts extends AcquisitionParts {
  readonly operationTimeoutMs: number
}

const HELD: TryGrantOutcome = Object.freeze({ kind: 'held' })

/**
 * Leases as nodes that contend for a resource, in the layout of Curator or kazoo. Permits have no slots here: neither of them numbers
 * what it hands out.
 */
export class ZooKeeperLeaseStore implements LeaseStore {
  readonly renewal = 'session'
  readonly guarantee = 'lease'
  readonly modes = 'all'
  /** As Curator asks the holder of a mutex: whoever uses its Revoker, or is asked by us, understands. */
  readonly revocation: LeaseRevocation = {
    request: (resource, kind) => this.#askHolders(resource, kind),
    listen: (grant, listener) => this.#listenFor(grant, listener),
  }
  readonly #parts: LeaseParts
  readonly #held = new Map<string, HeldNode>()
  readonly #asking = new Map<string, Promise<HeldNode | undefined>>()
  readonly #listeners = new Set<GrantLostListener>()

  constructor(parts: LeaseParts) {
    this.#parts = parts
    parts.sessions.listen({
      sessionEnded: session => this.#loseAll(held => held.contender.session === session, 'session-lost'),
      deadlineLapsed: lapsed => this.#loseAll(held => held.deadline === lapsed, 'expired'),
    })
  }

  newRequestId(): string {
    return this.#parts.naming.newRequestId()
  }

  async tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    const grant = await this.#acquire({ request, mayWait: false, signal })
    return grant === undefined ? HELD : { kind: 'granted', grant }
  }

  grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    // Whoever may wait gets a grant or an error.
    return this.#acquire({ request, mayWait: true, signal, queued }) as Promise<Grant>
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.#parts.lifecycle.checkOpen()
    try {
      return await Promise.all(renewals.map(renewal => this.#renew(renewal)))
    } catch (error) {
      throw toHoldfastError(error, this.#parts.sessions.server)
    }
  }

  async release(grant: Grant): Promise<'released' | 'lost'> {
    const held = this.#held.get(grant.request.requestId) ?? grant
    if (!(held instanceof HeldNode)) return 'lost'
    held.release ??= this.#release(held)
    return held.release
  }

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    const { requestId } = to
    const known = this.#asking.get(requestId)
    if (known !== undefined) return known
    const downgrading = this.#downgrade(from, to).finally(() => this.#asking.delete(requestId))
    this.#asking.set(requestId, downgrading)
    return downgrading
  }

  async inspect(resource: string, kind: LeaseKind = 'exclusive'): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    try {
      return await inspectLock(this.#parts, { resource, kind }, requestId => this.#held.get(requestId))
    } catch (error) {
      throw toHoldfastError(error, this.#parts.sessions.server)
    }
  }

  onLost(listener: GrantLostListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The path of the node that a lease of this store stands on, while it is held. Readers may share a token; then it is nobody's. */
  nodeOf({ resource, token }: Fenced): string | undefined {
    let path: string | undefined
    for (const held of this.#held.values()) {
      if (held.token.value !== token.value || held.request.resource !== resource) continue
      if (path !== undefined) return undefined
      path = held.contender.path
    }
    return path
  }

  #acquire(wish: AcquisitionRequest): Promise<HeldNode | undefined> {
    const { signal } = wish
    const acquiring = this.#askOnce(wish)
    if (signal === undefined) return acquiring
    // An abort is answered at once; what was under way notices at its next step, and a grant that crosses it is given back.
    return new Promise((resolve, reject) => {
      let isAborted = false
      const stopListening = onAbort(signal, reason => {
        isAborted = true
        reject(reason)
      })
      acquiring
        .then(held => {
          stopListening()
          if (isAborted && held !== undefined) void this.release(held).catch(() => undefined)
          resolve(held)
        }, reject)
        .finally(stopListening)
    })
  }

  /** A request that is asked again, while it is under way or held, has one node all the same. */
  #askOnce(wish: AcquisitionRequest): Promise<HeldNode | undefined> {
    const { requestId } = wish.request
    const known = this.#asking.get(requestId)
    if (known !== undefined) return known
    const asking = this.#ask(wish)
    this.#asking.set(requestId, asking)
    return asking
  }

  async #ask(wish: AcquisitionRequest): Promise<HeldNode | undefined> {
    const { requestId } = wish.request
    try {
      const before = this.#held.get(requestId)
      if (before !== undefined && before.deadline.remainingMs() > 0) return before
      const held = await new Acquisition(this.#parts, wish).run()
      if (held !== undefined) this.#held.set(requestId, held)
      return held
    } finally {
      this.#asking.delete(requestId)
    }
  }

  async #downgrade(from: Grant, to: LeaseRequest): Promise<HeldNode | undefined> {
    this.#parts.lifecycle.checkOpen()
    const before = this.#held.get(to.requestId)
    if (before !== undefined) return before
    const held = this.#held.get(from.request.requestId)
    if (held === undefined || held.deadline.remainingMs() <= 0) return undefined
    try {
      const reader = await downgradeNode(held, to)
      const isHeld = this.#held.get(from.request.requestId) === held
      if (reader === undefined && isHeld) this.#lose(held, 'revoked')
      // It was lost or given back in the meantime, and what was made of it with it.
      if (reader === undefined || !isHeld) return undefined
      held.successor = undefined
      reader.contender.session.heartbeat.need()
      this.#held.set(to.requestId, reader)
      this.#drop(held)
      return reader
    } catch (error) {
      throw toHoldfastError(error, this.#parts.sessions.server)
    }
  }

  async #askHolders(resource: string, kind: LeaseKind): Promise<number> {
    this.#parts.lifecycle.checkOpen()
    const { sessions } = this.#parts
    try {
      return await askHolders(sessions.current, this.#parts, resource, kind)
    } catch (error) {
      throw toHoldfastError(error, sessions.server)
    }
  }

  #listenFor(grant: Grant, listener: () => void): () => void {
    const held = this.#held.get(grant.request.requestId)
    const path = held?.contender.path
    if (held === undefined || path === undefined) return () => {}
    const watch = new RevocationWatch(held.contender.session, path, listener)
    held.attached.add(watch)
    return () => {
      held.attached.delete(watch)
      watch.close()
    }
  }

  async #release(held: HeldNode): Promise<'released' | 'lost'> {
    this.#drop(held)
    try {
      if (held.lostBecause !== undefined || held.deadline.remainingMs() <= 0) {
        held.withdraw()
        return 'lost'
      }
      const withdrawals = [this.#give(held.contender)]
      // A downgrade that was not answered: one of the two stands.
      if (held.successor !== undefined) withdrawals.push(this.#give(held.successor))
      return (await Promise.all(withdrawals)).includes('deleted') ? 'released' : 'lost'
    } catch (error) {
      // What failed goes on in the background; who asks again hears of that.
      held.release = undefined
      throw toHoldfastError(error, this.#parts.sessions.server)
    }
  }

  async #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const held = this.#held.get(grant.request.requestId)
    if (held === undefined) return { kind: 'lost', reason: reasonOf(grant) }
    const { contender, deadline } = held
    const { session, path = '' } = contender
    checkTtl(ttlMs, session)
    if (deadline.remainingMs() > 0) {
      try {
        // The first proves the session, the second that nobody took the node away.
        await Promise.all([session.heartbeat.beat(), session.run(getData(path))])
      } catch (error) {
        if (isCode(error, CODE.noNode)) this.#lose(held, 'revoked')
        else if (!isFailure(error, 'session-lost')) throw error
      }
    }
    if (held.lostBecause === undefined && deadline.remainingMs() <= 0) this.#lose(held, 'expired')
    if (held.lostBecause !== undefined) return { kind: 'lost', reason: held.lostBecause }
    return { kind: 'renewed', deadline, ttlMs: held.ttlMs }
  }

  #give(contender: Contender): Promise<Withdrawal> {
    return contender.isWithdrawing ? this.#within(contender.withdraw()) : contender.release()
  }

  #loseAll(isLost: (held: HeldNode) => boolean, reason: LeaseLostReason): void {
    for (const held of [...this.#held.values()].filter(isLost)) {
      this.#lose(held, reason)
      for (const listener of this.#listeners) listener(held.request.requestId, reason)
    }
  }

  #lose(held: HeldNode, reason: LeaseLostReason): void {
    held.lostBecause = reason
    this.#drop(held)
    held.withdraw()
  }

  #drop(held: HeldNode): void {
    for (const one of held.attached) one.close()
    if (this.#held.delete(held.request.requestId)) held.contender.session.heartbeat.unneed()
  }

  #within(withdrawal: Promise<Withdrawal>): Promise<Withdrawal> {
    const { clock, operationTimeoutMs, sessions } = this.#parts
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new UnavailableError(`ZooKeeper at ${sessions.server} did not answer in time.`))
      const timer = clock.setTimer(giveUp, operationTimeoutMs, { background: false })
      withdrawal.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

function reasonOf(grant: Grant): LeaseLostReason {
  if (!(grant instanceof HeldNode)) return 'revoked'
  return grant.lostBecause ?? 'released'
}
