import {
  ClosedError,
  ConflictError,
  InvalidArgumentError,
  checkKeys,
  onAbort,
  randomId,
  show,
  systemRandom,
} from '@holdfast/core'
import type { InstanceReport } from '../client/report.ts'
import { ForbiddenError } from '../errors.ts'
import type { Edit } from '../namespace/edit.ts'
import { appOfLayer } from '../namespace/template.ts'
import type { ReleaseChange } from '../release/diff.ts'
import { diffContents } from '../release/diff.ts'
import type { Release, ReleaseContent, ReleaseKind, StoredCandidate, StoredRelease } from '../release/release.ts'
import type { ScopePlaces } from '../release/scope.ts'
import { placesOf } from '../release/scope.ts'
import type { CheckedAdminOptions } from './admin-options.ts'
import type {
  AuthorizationRequest,
  ConfigAdmin,
  Deployment,
  HistoryEntry,
  Plan,
  PublishOptions,
  ReleaseWithContent,
  ScopeState,
} from './admin.ts'
import type { CandidateOutcome } from './candidate-book.ts'
import { moveCandidate, promoteCandidate, withdrawCandidate } from './candidate-book.ts'
import { checkedEdits } from './checked-edits.ts'
import { Contents } from './contents.ts'
import { HeadDeployment } from './deployment.ts'
import type { Draft, Drafting } from './draft.ts'
import { draftOf, isSaidBy, redraft } from './draft.ts'
import { reportsOf } from './fleet.ts'
import { Rollout } from './gradual.ts'
import { History, checkReleaseNumber } from './history.ts'
import { planOf } from './plan.ts'
import type { CheckedPublish } from './publish-options.ts'
import { checkedPublish, checkedResume } from './publish-options.ts'
import type { Publication, Published } from './publisher.ts'
import { Publisher, checkExpected } from './publisher.ts'
import type { BookPage, Entry } from './release-book.ts'
import { ReleaseBook } from './release-book.ts'
import { EVERYBODY, rulesOf } from './steps.ts'
import { Waiting } from './waiting.ts'

const LIST_MAX = 10_000
const CHANGE_TRIES_MAX = 20

/** The administration of one scope. */
export class ScopeAdmin implements ConfigAdmin {
  readonly #options: CheckedAdminOptions
  readonly #places: ScopePlaces
  readonly #book: ReleaseBook
  readonly #contents: Contents
  readonly #history: History
  readonly #publisher: Publisher
  readonly #drafting: Drafting
  readonly #waiting = new Waiting()
  #pruning: Promise<void> = Promise.resolve()
  #stopListening: () => void = () => {}
  #isClosed = false

  constructor(options: CheckedAdminOptions) {
    const { backend, scope, signWith, historyMax, signal } = options
    this.#options = options
    this.#places = placesOf(scope)
    this.#book = new ReleaseBook(backend.records, scope)
    this.#contents = new Contents(backend.records, backend.clock, this.#places.contents)
    this.#history = new History(this.#book, historyMax)
    this.#drafting = { ...options, readLayer: layer => this.#readHead(appOfLayer(layer)) }
    this.#publisher = new Publisher({
      scope,
      clock: backend.clock,
      book: this.#book,
      contents: this.#contents,
      history: this.#history,
      signWith,
      wroteContent: () => this.#prune(),
    })
    this.#stopListening = onAbort(signal, () => void this.close())
  }

  async publish(edits: readonly Edit[], options: PublishOptions = {}): Promise<Deployment> {
    this.#checkOpen()
    const checked = checkedPublish('publish', options)
    const copied = checkedEdits(edits)
    return this.#deploy(checked, {
      ...this.#publication('publish', checked),
      rolledBackTo: undefined,
      isPartial: copied.some(({ kind }) => kind === 'patch'),
      draft: before => draftOf(this.#drafting, copied, before),
      matches: async ({ kind }, content) => kind === 'publish' && isSaidBy(content, copied, this.#drafting),
    })
  }

  async rollback(options: PublishOptions & { readonly to: number }): Promise<Deployment> {
    this.#checkOpen()
    const checked = checkedPublish('rollback', options)
    checkReleaseNumber('to', options.to)
    const target = await this.#withContent(await this.#history.find(options.to, checked.signal))
    const to = target.release.number
    return this.#deploy(checked, {
      ...this.#publication('rollback', checked),
      rolledBackTo: to,
      isPartial: false,
      draft: async before => redraft(this.#drafting, target.content, before),
      matches: async ({ rolledBackTo }) => rolledBackTo === to,
    })
  }

  async plan(edits: readonly Edit[], options: Pick<PublishOptions, 'expectedRevision' | 'steps'> = {}): Promise<Plan> {
    this.#checkOpen()
    checkKeys('plan', options, new Set(['expectedRevision', 'steps']))
    const { expectedRevision, steps } = checkedPublish('publish', options)
    const copied = checkedEdits(edits)
    const { scope, namespaces } = this.#options
    const [page, reports] = await Promise.all([this.#book.read(), this.instances()])
    checkExpected(scope, expectedRevision, page)
    const head = page.head && (await this.#withContent(page.head.value))
    const draft = await draftOf(this.#drafting, copied, head?.content)
    const number = page.lastNumber + 1
    const [rule = EVERYBODY] = rulesOf(steps, { scope, release: { number, hash: draft.hash }, reports })
    return planOf({ scope, head: head?.release, before: head?.content, draft, number, rule, reports, namespaces })
  }

  async abort(reason: string): Promise<Release | undefined> {
    this.#checkOpen()
    if (typeof reason !== 'string' || reason === '') {
      throw new InvalidArgumentError('reason', `Expected \`reason\` to be a text, got ${show(reason)}.`)
    }
    const { author, backend } = this.#options
    await this.#authorize('abort', author)
    const ended = await this.#onCandidate((page, candidate) =>
      withdrawCandidate(this.#book, backend.clock, { ...page, candidate, author, reason }),
    )
    return ended?.candidate.release
  }

  async promote(): Promise<Deployment | undefined> {
    this.#checkOpen()
    await this.#authorize('promote', this.#options.author)
    const ended = await this.#onCandidate((page, candidate) => promoteCandidate(this.#book, page, candidate))
    if (ended === undefined) return undefined
    const { committedAtMs } = ended
    const { release } = ended.candidate
    return this.#deployment({ release, isNew: false, committedAtMs, candidate: undefined }, checkedResume(), false)
  }

  async resume(options?: Parameters<ConfigAdmin['resume']>[0]): Promise<Deployment | undefined> {
    this.#checkOpen()
    const checked = checkedResume(options)
    await this.#authorize('resume', this.#options.author)
    // Written as it is: whoever has driven it so far finds another version, and leaves it.
    const taken = await this.#onCandidate((_, candidate) => moveCandidate(this.#book, candidate, candidate.value.step))
    if (taken === undefined) return undefined
    const { candidate, version, committedAtMs } = taken
    const { release } = candidate
    return this.#deployment(
      { release, isNew: false, committedAtMs, candidate: { value: candidate, version } },
      checked,
      true,
    )
  }

  async state(): Promise<ScopeState> {
    this.#checkOpen()
    const [page, instances] = await Promise.all([this.#book.read(), this.instances()])
    const { head, candidate } = page
    return {
      kind: head === undefined && candidate === undefined ? 'missing' : 'present',
      head: head && (await this.#withContent(head.value)),
      candidate: candidate?.value,
      instances,
    }
  }

  async history(options: { readonly limit?: number } = {}): Promise<readonly HistoryEntry[]> {
    this.#checkOpen()
    checkKeys('history', options, new Set(['limit']))
    const { limit = LIST_MAX } = options
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_MAX) {
      const message = `Expected \`limit\` to be an integer from 1 to ${LIST_MAX}, got ${show(limit)}.`
      throw new InvalidArgumentError('limit', message)
    }
    return this.#history.list(limit)
  }

  async release(number: number): Promise<ReleaseWithContent> {
    this.#checkOpen()
    checkReleaseNumber('number', number)
    return this.#withContent(await this.#history.find(number))
  }

  async diff(from: number, to: number): Promise<readonly ReleaseChange[]> {
    const contentOf = async (number: number): Promise<ReleaseContent | undefined> =>
      number === 0 ? undefined : (await this.release(number)).content
    const [before, after] = await Promise.all([contentOf(from), contentOf(to)])
    return diffContents(before, after)
  }

  async instances(): Promise<readonly InstanceReport[]> {
    this.#checkOpen()
    const { backend } = this.#options
    return reportsOf(await backend.records.read({ directory: this.#places.instances, ephemerals: true }))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    this.#waiting.close()
    await this.#pruning
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // Whatever its driver does meanwhile: he finds that somebody was before him.
  async #onCandidate(
    change: (page: BookPage, candidate: Entry<StoredCandidate>) => Promise<CandidateOutcome>,
  ): Promise<{ candidate: StoredCandidate; version: string; committedAtMs: number } | undefined> {
    for (let tries = 0; tries < CHANGE_TRIES_MAX; tries += 1) {
      const page = await this.#book.read()
      if (page.candidate === undefined) return undefined
      const outcome = await change(page, page.candidate)
      if (outcome.kind === 'written') return { candidate: page.candidate.value, ...outcome }
    }
    throw new ConflictError('the rollout in steps', {
      expected: 'left alone for a moment',
      actual: `changed by others ${CHANGE_TRIES_MAX} times in a row`,
    })
  }

  async #deploy(checked: CheckedPublish, publication: Publication): Promise<Deployment> {
    const published = await this.#publisher.publish(publication)
    // A request that is repeated only looks on: somebody drives it already, or `resume` does.
    return this.#deployment(published, checked, published.isNew)
  }

  #deployment(
    published: Published,
    rollout: Pick<CheckedPublish, 'bakeMs' | 'abortOn' | 'settleMs' | 'signal'>,
    isDriving: boolean,
  ): Deployment {
    const { backend, scope, author } = this.#options
    const { candidate, ...written } = published
    const parts = { ...written, ...rollout, backend, scope, waiting: this.#waiting }
    if (candidate === undefined) return new HeadDeployment(parts)
    return new Rollout({ ...parts, author, book: this.#book, candidate, isDriving })
  }

  #publication(
    kind: ReleaseKind,
    checked: CheckedPublish,
  ): Omit<Publication, 'rolledBackTo' | 'isPartial' | 'draft' | 'matches'> {
    const { expectedRevision, message, signal, requestId } = checked
    const author = checked.author ?? this.#options.author
    return {
      kind,
      author,
      message,
      signal,
      expectedRevision,
      requestId: requestId ?? randomId(systemRandom),
      isRepeatable: requestId !== undefined,
      steps: async release => {
        if (checked.steps.length === 1) return undefined
        return rulesOf(checked.steps, { scope: this.#options.scope, release, reports: await this.instances() })
      },
      authorize: (head, before, draft) => this.#authorize(kind, author, () => planFor(head, before, draft)),
    }
  }

  async #authorize(
    action: AuthorizationRequest['action'],
    author: string,
    plan: () => AuthorizationRequest['plan'] = () => undefined,
  ): Promise<void> {
    const { scope, authorize } = this.#options
    if (authorize === undefined) return
    const answer = await authorize({ ...scope, action, author, plan: plan() })
    if (answer === true) return
    const why = typeof answer === 'string' ? `: ${answer}` : ''
    throw new ForbiddenError(`${author} may not ${action} in ${scope.app}:${scope.env}${why}. Nothing was written.`)
  }

  // Nobody waits for it, and what fails is tried with a later release.
  #prune(): void {
    this.#pruning = this.#pruning.then(() => this.#contents.prune(() => this.#references())).catch(() => undefined)
  }

  async #references(): Promise<ReadonlySet<string>> {
    const [{ head, candidate }, releases] = await Promise.all([this.#book.read(), this.#book.allReleases()])
    const stored = [head?.value, candidate?.value, ...releases.values()]
    return new Set(stored.flatMap(one => one?.release.hash ?? []))
  }

  async #withContent({ release, content }: StoredRelease): Promise<ReleaseWithContent> {
    return { release, content: content ?? (await this.#contents.load(release.hash)) }
  }

  async #readHead(app: string): Promise<ReleaseWithContent | undefined> {
    const { backend, scope } = this.#options
    const layer = { app, env: scope.env }
    const { head } = await new ReleaseBook(backend.records, layer).read()
    if (head === undefined) return undefined
    const { release, content } = head.value
    const contents = new Contents(backend.records, backend.clock, placesOf(layer).contents)
    return { release, content: content ?? (await contents.load(release.hash)) }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError('config admin')
  }
}

function planFor(
  head: Release | undefined,
  before: ReleaseContent | undefined,
  draft: Draft,
): NonNullable<AuthorizationRequest['plan']> {
  return { head, content: draft.content, changes: diffContents(before, draft.content) }
}
