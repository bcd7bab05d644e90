import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type {
  BeatOutcome,
  CommitOutcome,
  DirectoryListener,
  DirectoryRead,
  EphemeralRequest,
  ReadRequest,
  RecordChange,
  RecordConflict,
  Stay,
} from '../../ports/records.ts'
import type { Subscription } from '../../live.ts'
import type { Capability } from './harness.ts'
import type { RecordCapability } from './record-case.ts'
import { bytesOf, textsOf } from './record-changes.ts'
import type { RecordHarness } from './record-harness.ts'
import { HOP_MS, Stage } from './stage.ts'

/** How long one call may take: its values may be large, and the machine busy. */
export const ANSWER_MS: number = 2 * HOP_MS
/** How long a notice may take to arrive. */
export const NOTICE_MS: number = 3 * HOP_MS
/** How much later than its TTL a store may end an ephemeral record (R6). */
export const END_MS_MAX = 2_000

/** A directory that is there. */
export type PresentDirectory = Extract<DirectoryRead, { kind: 'present' }>
export type Committed = Extract<CommitOutcome, { kind: 'committed' }>

/** What a commit may have beside its changes. */
export interface CommitOptions {
  readonly commitId?: string
  readonly signal?: AbortSignal
}

/** Somebody who listens and remembers. */
export class Ear implements DirectoryListener {
  /** How often it was told. */
  readonly heard = { changed: 0, live: 0, down: 0 }
  /** The commits that it was told of. */
  readonly commits: string[] = []

  changed(commit?: string): void {
    this.heard.changed += 1
    if (commit !== undefined) this.commits.push(commit)
  }

  live(): void {
    this.heard.live += 1
  }

  down(): void {
    this.heard.down += 1
  }
}

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class RecordScene implements AsyncDisposable {
  readonly harness: RecordHarness
  readonly #stage: Stage

  constructor(harness: RecordHarness) {
    this.harness = harness
    this.#stage = new Stage(harness)
  }

  get ttlMs(): number {
    return this.harness.ttlMs
  }

  directory(): string {
    return this.harness.directory()
  }

  client(): Promise<Backend> {
    return this.#stage.client()
  }

  async twoClients(): Promise<[Backend, Backend]> {
    return [await this.client(), await this.client()]
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    return this.#stage.within(promise, ms, what)
  }

  /** The error that a promise must reject with. */
  rejection(promise: Promise<unknown>, ms: number, what: string): Promise<unknown> {
    return this.#stage.rejection(promise, ms, what)
  }

  /** Waits until the check holds; fails with what was wrong when it never does. */
  eventually(check: () => Promise<boolean>, wrong: string, ms: number = NOTICE_MS): Promise<void> {
    return this.#stage.eventually(check, wrong, ms)
  }

  /** Nobody listens or is joined any more: the store must keep nothing of them. */
  nothingLeft(directory: string): Promise<void> {
    return this.#stage.nothingLeft(directory)
  }

  turns(count: number): Promise<void> {
    return this.#stage.turns(count)
  }

  commit(
    client: Backend,
    directory: string,
    changes: readonly RecordChange[],
    { commitId = client.records.newId(), signal }: CommitOptions = {},
  ): Promise<CommitOutcome> {
    const asked = client.records.commit({ directory, commitId, changes }, signal)
    return this.within(asked, ANSWER_MS, `a commit to "${directory}"`)
  }

  /** A commit that has to happen. */
  async committed(
    client: Backend,
    directory: string,
    changes: readonly RecordChange[],
    options?: CommitOptions,
  ): Promise<Committed> {
    const outcome = await this.commit(client, directory, changes, options)
    if (outcome.kind === 'committed') return outcome
    return assert.fail(`The commit met conflicts: ${JSON.stringify(outcome.conflicts)}.`)
  }

  /** A commit that must not happen. */
  async refused(
    client: Backend,
    directory: string,
    changes: readonly RecordChange[],
  ): Promise<readonly RecordConflict[]> {
    const outcome = await this.commit(client, directory, changes)
    if (outcome.kind === 'conflict') return outcome.conflicts
    return assert.fail(`The commit happened, as number ${outcome.revision.number}.`)
  }

  read(client: Backend, request: ReadRequest): Promise<DirectoryRead> {
    return this.within(client.records.read(request), ANSWER_MS, `a read of "${request.directory}"`)
  }

  /** What is in a directory that must be there. */
  async present(client: Backend, request: ReadRequest): Promise<PresentDirectory> {
    const answer = await this.read(client, request)
    if (answer.kind === 'present') return answer
    return assert.fail(`The directory "${request.directory}" is ${answer.kind}.`)
  }

  /** The records of a directory that must be there, as texts. */
  async texts(client: Backend, directory: string): Promise<Readonly<Record<string, string>>> {
    return textsOf((await this.present(client, { directory })).records)
  }

  /** The ephemeral records of a directory, as texts; none where it is missing. */
  async ephemerals(client: Backend, directory: string): Promise<Readonly<Record<string, string>>> {
    const answer = await this.read(client, { directory, ephemerals: true })
    return answer.kind === 'present' ? textsOf(answer.ephemerals) : {}
  }

  /** Starts to listen, and waits until it is so. */
  async listening(
    client: Backend,
    directory: string,
  ): Promise<{ readonly ear: Ear; readonly subscription: Subscription }> {
    const ear = new Ear()
    const subscription = client.records.listen(directory, ear)
    await this.eventually(
      async () => ear.heard.live > 0,
      `nobody said \`live\` to a listener of "${directory}"`,
      ANSWER_MS,
    )
    return { ear, subscription }
  }

  /** Waits until the ear has been told of a change since. */
  async hears(ear: Ear, since: number, what: string): Promise<void> {
    await this.eventually(async () => ear.heard.changed > since, `the listener was not told of ${what}`)
  }

  owner(client: Backend, directory: string, options: Partial<EphemeralRequest> = {}): EphemeralRequest {
    const defaults = { id: 'one', owner: client.records.newId(), value: bytesOf('here'), ttlMs: this.ttlMs }
    return { directory, ...defaults, ...options }
  }

  join(client: Backend, request: EphemeralRequest): Promise<Stay> {
    return this.within(client.records.join(request), ANSWER_MS, `joining "${request.directory}"`)
  }

  beat(client: Backend, request: EphemeralRequest, value?: string): Promise<BeatOutcome> {
    const asked = client.records.beat(request, value === undefined ? undefined : bytesOf(value))
    return this.within(asked, ANSWER_MS, `a beat in "${request.directory}"`)
  }

  leave(client: Backend, request: EphemeralRequest): Promise<'left' | 'lost'> {
    return this.within(client.records.leave(request), ANSWER_MS, `leaving "${request.directory}"`)
  }

  /** From now on nothing that the client is in is kept: where its session keeps it, the link has to fall silent. */
  async stopBeating(client: Backend): Promise<void> {
    if (client.leases.renewal === 'session') await this.silence(client)
  }

  async silence(client: Backend): Promise<() => Promise<void>> {
    const heal = await this.able('silence')(client)
    this.#stage.healAtEnd(heal)
    return heal
  }

  /** Nothing that the server says by itself reaches the client any more. */
  async muffle(client: Backend): Promise<() => Promise<void>> {
    const heal = await this.able('muffle')(client)
    this.#stage.healAtEnd(heal)
    return heal
  }

  /** What the world can do, for a case that needs it. */
  able<Name extends RecordCapability>(name: Name): RunOf<RecordHarness[Name]> {
    const capability: Capability<unknown> = this.harness[name]
    if (capability.kind === 'supported') return capability.run as RunOf<RecordHarness[Name]>
    return assert.fail(`The harness has no \`${name}\`: ${capability.why}.`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]()
  }
}

type RunOf<Ability> = Ability extends { readonly kind: 'supported'; readonly run: infer Run } ? Run : never
