import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventSource, Live, Subscription, WatchLink } from '@holdfast/core'
import {
  ClosedError,
  Emitter,
  InvalidArgumentError,
  WAIT_MS,
  mapLive,
  orAborted,
  show,
  systemRandom,
} from '@holdfast/core'
import { Applier } from '../apply/applier.ts'
import { FleetLimit } from '../apply/fleet-limit.ts'
import { Snapshot } from '../apply/snapshot.ts'
import type { FollowFacts } from '../follow/describe-state.ts'
import { describeState, stateOf } from '../follow/describe-state.ts'
import { Follower } from '../follow/follower.ts'
import type { Target } from '../follow/store-says.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { schemaFingerprint } from '../resolve/fingerprint.ts'
import type { Config, ConfigEvents, ConfigSnapshot, ConfigState, ConfigStatus, Origin, Participant } from './config.ts'
import type { Files } from './files.ts'
import type { CheckedOptions } from './options.ts'
import type { InstanceReport, Refusal } from './report.ts'
import { Reporter } from './reporter.ts'
import { configEvent } from './telemetry.ts'

/** What `openConfig` gives, once `start-up.ts` has started it. */
export class ConfigClient implements Config {
  readonly applier: Applier
  readonly follower: Follower
  readonly #options: CheckedOptions
  readonly #files: Files
  readonly #events = new Emitter<ConfigEvents>('config')
  readonly #pins = new AsyncLocalStorage<Snapshot>()
  readonly #schemas: Readonly<Record<string, string>>
  #state: ConfigState = 'unreachable'
  #lagMs: number | undefined
  #reporter: Reporter | undefined
  #reported: { readonly snapshot: Snapshot | undefined; readonly refusal: Refusal | undefined } | undefined
  #onChange: () => void = () => {}
  #closing: Promise<void> | undefined

  constructor(options: CheckedOptions, files: Files) {
    this.#options = options
    this.#files = files
    const { backend, scope, instance, maxConcurrentApplies: limit } = options
    this.#schemas = fingerprintsOf(options.namespaces)
    this.applier = new Applier({
      ...options,
      clock: backend.clock,
      fleetLimit: limit === undefined ? undefined : new FleetLimit({ backend, scope, slot: instance.slot, limit }),
      rollbackFailed: (participant, error) => this.#tell('rollbackFailed', { participant, error }),
    })
    this.follower = new Follower({
      backend,
      reader: { scope, instance },
      applier: this.applier,
      reconcileMs: options.reconcileMs,
      regressionHoldMs: options.regressionHoldMs,
      isTrusting: options.trust !== undefined,
      vet: release => files.vet(release),
      random: systemRandom,
      listener: {
        changed: () => this.#changed(),
        applied: (next, previous, target) => this.#applied(next, previous, target),
        refused: refusal => this.#refused(refusal),
        confirmed: (target, content) => files.keep(target, content),
      },
    })
  }

  get events(): EventSource<ConfigEvents> {
    return this.#events
  }

  get current(): ConfigSnapshot {
    return this.#snapshot
  }

  get<Value>(namespace: Namespace<Value, never>): Value {
    return this.#snapshot.get(namespace)
  }

  live<Value>(namespace: Namespace<Value, never>): Live<Value>
  live<Value, Projected>(namespace: Namespace<Value, never>, project: (value: Value) => Projected): Live<Projected>
  live<Value, Projected>(
    namespace: Namespace<Value, never>,
    project?: (value: Value) => Projected,
  ): Live<Value> | Live<Projected> {
    const { name } = this.#inUse.part(namespace).namespace
    const live = this.applier.live(name) as Live<Value>
    return project === undefined ? live : mapLive(live, project)
  }

  run<Result>(work: () => Result): Result {
    // Inside of another the outer one's: it is one request still.
    return this.#pins.run(this.#snapshot, work)
  }

  origin(namespace: Namespace<unknown, never>, ...path: readonly string[]): Origin {
    const snapshot = this.#snapshot
    return { ...snapshot.part(namespace).resolved.originOf(path), source: snapshot.source }
  }

  participate<Value>(namespace: Namespace<Value, never>, participant: Participant<Value>): Subscription {
    const { name } = this.#inUse.part(namespace).namespace
    if (typeof participant?.name !== 'string' || typeof participant.prepare !== 'function') {
      throw new InvalidArgumentError(
        'participant',
        `Expected the participant to have a \`name\` and a \`prepare\` method, got ${show(participant)}.`,
      )
    }
    return this.applier.participants.add(name, participant as Participant<unknown>)
  }

  status(): ConfigStatus {
    const { committed: snapshot } = this.applier
    const { follower } = this
    const facts = this.#facts()
    const ageMs = this.#ageMs()
    const { staleAfterMs } = this.#options
    return {
      state: stateOf(facts),
      detail: [describeState(facts), describeSource(snapshot), ...this.#files.notes].filter(Boolean).join(' '),
      source: snapshot?.source ?? 'defaults',
      release: snapshot?.release,
      target: targetOf(facts),
      ageMs,
      isStale: staleAfterMs !== undefined && (ageMs === undefined || ageMs > staleAfterMs),
      push: follower.watch.status.push,
      lagMs: snapshot?.source === 'store' ? this.#lagMs : undefined,
      refusal: follower.refusal,
      pendingRestart: snapshot?.pendingRestart ?? [],
      lastError: follower.error ?? follower.watch.status.lastError ?? this.#files.lastError,
    }
  }

  async refresh(signal?: AbortSignal): Promise<ConfigStatus> {
    signal?.throwIfAborted()
    await this.#awaited(orAborted(this.follower.refresh(signal), signal))
    return this.status()
  }

  async force(): Promise<ConfigStatus> {
    this.#files.release()
    await this.#awaited(this.follower.force())
    return this.status()
  }

  close(): Promise<void> {
    this.#closing ??= this.#awaited(this.#close())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Hears when something changed that a start waits for. */
  set onChange(listener: () => void) {
    this.#onChange = listener
  }

  /** From now on publishers see it. */
  beginReports(): void {
    const { backend, scope, report } = this.#options
    if (!report || this.#closing !== undefined) return
    this.#reporter = new Reporter({ backend, scope, random: systemRandom, report: () => this.#report() })
  }

  get #inUse(): Snapshot {
    if (this.applier.snapshot !== undefined) return this.applier.snapshot
    throw new ClosedError('configuration')
  }

  get #snapshot(): Snapshot {
    return this.#pins.getStore() ?? this.#inUse
  }

  #facts(): FollowFacts {
    const { says, hold, cursor, refusal, retryAtMs, error } = this.follower
    const { committed: snapshot } = this.applier
    return {
      link: this.#link(),
      says,
      hold,
      cursor,
      refusal,
      retryAtMs,
      inUse: snapshot?.source === 'store' ? snapshot.release : undefined,
      error,
      nowMs: this.#options.backend.clock.monotonicMs(),
    }
  }

  #link(): WatchLink {
    const { backend } = this.#options
    if (backend.health.current.kind !== 'closed') return this.follower.link
    return { kind: 'failing', cause: new ClosedError(`${backend.kind} backend`) }
  }

  #ageMs(): number | undefined {
    const { readAtMs } = this.follower.watch.status
    return readAtMs === undefined ? undefined : Math.round(this.#options.backend.clock.monotonicMs() - readAtMs)
  }

  #report(): InstanceReport {
    const { committed: snapshot } = this.applier
    return {
      ...this.#options.instance,
      applied: snapshot?.release,
      source: snapshot?.source ?? 'defaults',
      refusal: this.follower.refusal,
      pendingRestart: (snapshot?.pendingRestart ?? []).map(({ namespace, field }) => `${namespace}.${field}`),
      schemas: this.#schemas,
    }
  }

  #applied(next: Snapshot, previous: Snapshot | undefined, target: Target): void {
    this.#lagMs = Math.max(0, this.#options.backend.clock.wallMs() - target.committedAtMs)
    const event = { release: next.release, previous: previous?.release, source: next.source }
    this.#emit('applied', event)
    const { pendingRestart: fields } = next
    if (fields.length > 0 && !isSameList(fields, previous?.pendingRestart ?? []))
      this.#emit('pendingRestart', { fields })
  }

  #refused(refusal: Refusal): void {
    this.#emit('refused', refusal)
  }

  #changed(): void {
    const facts = this.#facts()
    const state = stateOf(facts)
    if (state !== this.#state) {
      const previous = this.#state
      this.#state = state
      if (this.#events.hears('state') || configEvent.isHeard) {
        this.#emit('state', { state, previous, detail: describeState(facts) })
      }
    }
    const { refusal } = facts
    const { committed: snapshot } = this.applier
    if (this.#reported?.snapshot !== snapshot || this.#reported?.refusal !== refusal) {
      this.#reported = { snapshot, refusal }
      this.#reporter?.update()
    }
    this.#onChange()
  }

  #emit<Name extends keyof ConfigEvents>(name: Name, event: ConfigEvents[Name]): void {
    this.#events.emit(name, event)
    this.#tell(name, event)
  }

  #tell(event: Parameters<typeof configEvent.publish>[0]['event'], facts: object): void {
    if (configEvent.isHeard) configEvent.publish({ ...this.#options.scope, ...facts, event })
  }

  // Timers of what runs behind the user's back do not hold the process; what he awaits does.
  async #awaited<T>(work: Promise<T>): Promise<T> {
    const hold = this.#options.backend.clock.setTimer(() => {}, WAIT_MS.max, { background: false })
    try {
      return await work
    } finally {
      hold.cancel()
    }
  }

  async #close(): Promise<void> {
    await this.follower.close()
    this.applier.close()
    await Promise.all([this.#reporter?.close(), this.#files.close()])
  }
}

function fingerprintsOf(namespaces: CheckedOptions['namespaces']): Readonly<Record<string, string>> {
  const known = namespaces.map(({ name, definition }) => [name, schemaFingerprint(definition.schema)] as const)
  return Object.fromEntries(known.filter((entry): entry is readonly [string, string] => entry[1] !== undefined))
}

function targetOf({ says }: FollowFacts): ConfigStatus['target'] {
  if (says.kind !== 'target') return undefined
  const { number, hash } = says.target.release
  return { number, hash }
}

function describeSource(snapshot: Snapshot | undefined): string {
  if (snapshot?.source === 'defaults') return 'The defaults of the schemas are in use.'
  if (snapshot?.source !== 'last-known-good') return ''
  return `Release ${snapshot.release?.number} of the last-known-good file is in use.`
}

function isSameList(a: ConfigStatus['pendingRestart'], b: ConfigStatus['pendingRestart']): boolean {
  const key = (fields: ConfigStatus['pendingRestart']) => fields.map(each => `${each.namespace}.${each.field}`).join()
  return key(a) === key(b)
}
