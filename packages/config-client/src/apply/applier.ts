import type { Clock, Lease } from '@holdfast/core'
import { onAbort } from '@holdfast/core'
import { LiveNamespace } from '../client/live-namespace.ts'
import type { ConfigSource, Refusal } from '../client/report.ts'
import { messageOf } from '../errors.ts'
import type { Release, ReleaseContent } from '../release/release.ts'
import type { TrustedKeys } from '../release/signature.ts'
import { checkSignature } from '../release/signature.ts'
import type { FleetLimit } from './fleet-limit.ts'
import { Participants } from './participants.ts'
import type { ResolveContext } from './resolve-release.ts'
import { resolveRelease } from './resolve-release.ts'
import { Snapshot } from './snapshot.ts'
import { runTransaction } from './transaction.ts'

/** A release that has been read, and from where; without them it is the defaults. */
export interface ToApply {
  readonly release: Release | undefined
  readonly content: ReleaseContent | undefined
  readonly source: ConfigSource
}

/** How a release is applied. */
export interface ApplierOptions extends ResolveContext {
  readonly clock: Clock
  readonly trust: TrustedKeys | undefined
  readonly applyTimeoutMs: number
  readonly fleetLimit: FleetLimit | undefined
  readonly rollbackFailed: (participant: string, error: unknown) => void
}

/** What can end an apply early. */
export interface ApplyControl {
  /** Turns it back, unless it is past its commit point. */
  readonly signal: AbortSignal
  /** Asked after a wait: whether another release is the one to apply by now. */
  readonly isSuperseded: () => boolean
}

/** What became of an apply. In all cases but the first nothing has changed. */
export type ApplyOutcome =
  | { readonly kind: 'applied'; readonly next: Snapshot; readonly previous: Snapshot | undefined }
  | { readonly kind: 'refused'; readonly refusal: Omit<Refusal, 'release'> }
  /** Not its fault: it was closed, or lost its turn among the fleet. */
  | { readonly kind: 'interrupted'; readonly cause: unknown }
  | { readonly kind: 'superseded' }

type Checked =
  | { readonly kind: 'checked'; readonly snapshot: Snapshot }
  | { readonly kind: 'refused'; readonly refusal: Omit<Refusal, 'release'> }

/** Has the snapshot in use, and changes it: all of it, or nothing. */
export class Applier {
  readonly participants: Participants = new Participants()
  readonly #options: ApplierOptions
  readonly #lives = new Map<string, LiveNamespace<unknown>>()
  #snapshot: Snapshot | undefined
  #committed: Snapshot | undefined

  constructor(options: ApplierOptions) {
    this.#options = options
  }

  /** What is read. Undefined until something was installed. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** What everybody who takes part has committed: while they do so, it is still the one before. */
  get committed(): Snapshot | undefined {
    return this.#committed
  }

  live(namespace: string): LiveNamespace<unknown> | undefined {
    return this.#lives.get(namespace)
  }

  /** Verifies and parses. Changes nothing. */
  check({ release, content, source }: ToApply): Checked {
    const { trust, scope } = this.#options
    if (trust !== undefined && release !== undefined) {
      try {
        checkSignature(release, { scope, trustedKeys: trust })
      } catch (error) {
        return { kind: 'refused', refusal: unverified(error) }
      }
    }
    const resolved = resolveRelease({ release, content }, this.#options, this.#snapshot)
    if (resolved.kind === 'refused') return resolved
    return { kind: 'checked', snapshot: new Snapshot({ release, source, parts: resolved.parts }) }
  }

  /** One at a time. Never rejects for what participants do. */
  async apply(to: ToApply, control: ApplyControl): Promise<ApplyOutcome> {
    const checked = this.check(to)
    if (checked.kind === 'refused') return checked
    const next = checked.snapshot
    const previous = this.#snapshot
    if (previous === undefined) return this.#install(next)
    const { fleetLimit } = this.#options
    const changed = changedNamespaces(this.#options.namespaces, { previous, next })
    if (fleetLimit === undefined || changed.size === 0)
      return await this.#transact({ next, previous, changed }, control)
    let lease: Lease
    try {
      lease = await fleetLimit.enter(control.signal)
    } catch (error) {
      return { kind: 'interrupted', cause: error }
    }
    try {
      if (control.isSuperseded()) return { kind: 'superseded' }
      return await this.#transactWhile(lease, { next, previous, changed }, control)
    } finally {
      // It never rejects, and takes its time where the store does not answer.
      void lease.release()
    }
  }

  close(): void {
    for (const live of this.#lives.values()) live.close()
  }

  // The first one: nobody takes part yet, and nobody listens.
  #install(next: Snapshot): ApplyOutcome {
    for (const { name } of this.#options.namespaces)
      this.#lives.set(name, new LiveNamespace(next.partOf(name)?.resolved.value))
    this.#snapshot = next
    this.#committed = next
    return { kind: 'applied', next, previous: undefined }
  }

  async #transactWhile(lease: Lease, step: Step, control: ApplyControl): Promise<ApplyOutcome> {
    const abort = new AbortController()
    const stops = [control.signal, lease.signal].map(signal => onAbort(signal, reason => abort.abort(reason)))
    try {
      return await this.#transact(step, { ...control, signal: abort.signal })
    } finally {
      for (const stop of stops) stop()
    }
  }

  async #transact({ next, previous, changed }: Step, { signal }: ApplyControl): Promise<ApplyOutcome> {
    const { clock, applyTimeoutMs: limitMs, rollbackFailed } = this.#options
    const outcome = await runTransaction({
      next,
      previous,
      enlisted: this.participants.of(changed),
      swap: to => this.#swap(to),
      clock,
      limitMs,
      signal,
      rollbackFailed,
    })
    if (outcome.kind === 'committed') this.#committed = next
    // Also after a refusal: who began to listen between swap and roll back has seen what is not in use any more.
    for (const live of this.#lives.values()) live.tell()
    return outcome.kind === 'committed' ? { kind: 'applied', next, previous } : outcome
  }

  #swap(to: Snapshot): void {
    this.#snapshot = to
    for (const [name, live] of this.#lives) live.current = to.partOf(name)?.resolved.value
  }
}

interface Step {
  readonly next: Snapshot
  readonly previous: Snapshot
  readonly changed: ReadonlySet<string>
}

function changedNamespaces(
  namespaces: ResolveContext['namespaces'],
  { previous, next }: { readonly previous: Snapshot; readonly next: Snapshot },
): ReadonlySet<string> {
  const names = namespaces.map(({ name }) => name)
  return new Set(names.filter(name => previous.partOf(name)?.resolved.value !== next.partOf(name)?.resolved.value))
}

/** The refusal of something that is not what it should be. */
export function unverified(error: unknown): Omit<Refusal, 'release'> {
  // It is about the release as a whole.
  const issue = { namespace: '*', path: [], message: messageOf(error) }
  return { stage: 'verify', participant: undefined, issues: [issue] }
}
