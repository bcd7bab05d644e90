import type { Clock, RecordChange } from '@holdfast/core'
import { ConflictError, InvalidArgumentError, show, systemRandom } from '@holdfast/core'
import { InvalidConfigError, UntrustedReleaseError } from '../errors.ts'
import { INLINE_BYTES_MAX, encodeCandidate, encodeRelease } from '../release/codec.ts'
import type { SigningKey } from '../release/signature.ts'
import { signRelease } from '../release/signature.ts'
import type { Release, ReleaseContent, ReleaseKind, RolloutRule, StoredCandidate } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { CANDIDATE, HEAD, releaseId, requestRecordId } from '../release/scope.ts'
import type { Contents } from './contents.ts'
import type { Draft } from './draft.ts'
import type { History } from './history.ts'
import { pause } from './pause.ts'
import type { BookPage, Entry, PageRequest, ReleaseBook } from './release-book.ts'
import { encodeRequest } from './release-book.ts'

/** What is to be published, and by whom. */
export interface Publication {
  readonly kind: ReleaseKind
  readonly rolledBackTo: number | undefined
  readonly author: string
  readonly message: string
  readonly requestId: string
  /** Whether the id was given by the caller, and so may have been used before. */
  readonly isRepeatable: boolean
  readonly expectedRevision: number | undefined
  readonly signal: AbortSignal | undefined
  /** Whether it changes a part of what there is, and leaves the rest as it is. */
  readonly isPartial: boolean
  /** The content that it makes of the head's. */
  draft(before: ReleaseContent | undefined): Promise<Draft>
  /** Whether a release under the same request id is this publication. */
  matches(release: Release, content: ReleaseContent): Promise<boolean>
  /** The rules of a rollout in steps, one a step; undefined for one that is for all at once. */
  steps(release: Pick<Release, 'number' | 'hash'>): Promise<readonly RolloutRule[] | undefined>
  /** Refuses what may not be. */
  authorize(head: Release | undefined, before: ReleaseContent | undefined, draft: Draft): Promise<void>
}

/** What became of a publication. */
export interface Published {
  readonly release: Release
  readonly isNew: boolean
  readonly committedAtMs: number
  /** What stands in the store while it is rolled out in steps. */
  readonly candidate: Entry<StoredCandidate> | undefined
}

/** What publishing needs. */
export interface PublisherParts {
  readonly scope: Scope
  readonly clock: Clock
  readonly book: ReleaseBook
  readonly contents: Contents
  readonly history: History
  readonly signWith: SigningKey | undefined
  /** A release whose content stands by itself was written. */
  readonly wroteContent: () => void
}

/** A release that is ready to be committed. */
interface Ready {
  readonly release: Release
  readonly draft: Draft
  readonly steps: readonly RolloutRule[] | undefined
}

type Decision =
  | { readonly kind: 'done'; readonly published: Published }
  | { readonly kind: 'write'; readonly ready: Ready }

type Attempt =
  | { readonly kind: 'published'; readonly published: Published }
  | { readonly kind: 'conflict'; readonly ids: readonly string[] }

const TRIES_MAX = 40
const RETRY_MS = 4

/** Publishes releases of a scope, one commit each. */
export class Publisher {
  readonly #parts: PublisherParts
  /** How the last commit of ours left things: while nobody else publishes it saves reading them. */
  #remembered: BookPage | undefined

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  async publish(publication: Publication): Promise<Published> {
    const { clock } = this.#parts
    const { signal } = publication
    let isThorough = false
    let remembered = this.#remembered
    this.#remembered = undefined
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const isFresh = remembered === undefined
      const page: BookPage = remembered ?? (await this.#read(publication, isThorough))
      remembered = undefined
      const decision: Decision | undefined = await this.#decide(publication, page).catch((error: unknown) => {
        if (isFresh) throw error
        return undefined
      })
      // What is not to be written is not decided by what was remembered: another may have published since.
      if (decision === undefined || (decision.kind === 'done' && !isFresh)) continue
      if (decision.kind === 'done') return decision.published
      const attempt = await this.#write(publication, page, decision.ready)
      if (attempt.kind === 'published') return attempt.published
      // A number that is taken although the head is older: the head was lost, or set back.
      isThorough = isFresh && attempt.ids.every(id => id === releaseId(decision.ready.release.number))
      if (isFresh) await pause(clock, RETRY_MS * 2 ** Math.min(tries, 6) * systemRandom.next(), signal)
    }
    throw new ConflictError(`the head of ${nameOf(this.#parts.scope)}`, {
      expected: 'left alone for a moment',
      actual: `changed by others ${TRIES_MAX} times in a row`,
    })
  }

  async #read(publication: Publication, isThorough: boolean): Promise<BookPage> {
    const { book } = this.#parts
    const page = await book.read({ ...pageFor(publication), isThorough })
    const isWhole = isThorough || page.head !== undefined || page.committedAtMs === 0
    // There was no head yet, or it is gone: the history tells.
    return isWhole ? page : book.read({ ...pageFor(publication), isThorough: true })
  }

  async #decide(publication: Publication, page: BookPage): Promise<Decision> {
    const { signal } = publication
    if (page.requested !== undefined) {
      return { kind: 'done', published: await this.#repeated(publication, page, page.requested) }
    }
    checkExpected(this.#parts.scope, publication.expectedRevision, page)
    checkNoRollout(this.#parts.scope, page)
    checkNotLost(this.#parts.scope, publication, page)
    checkNotWiped(this.#parts.book, publication, page)
    const head = page.head?.value
    const before = await this.#contentBefore(publication, page)
    const draft = await publication.draft(before)
    if (draft.hash === head?.release.hash) {
      const { release } = head
      const committedAtMs = page.committedAtMs
      return { kind: 'done', published: { release, isNew: false, committedAtMs, candidate: undefined } }
    }
    if (draft.issues.length > 0) throw new InvalidConfigError('It cannot be published', draft.issues)
    await publication.authorize(head?.release, before, draft)
    signal?.throwIfAborted()
    const release = this.#release(publication, page, draft.hash)
    return { kind: 'write', ready: { release, draft, steps: await publication.steps(release) } }
  }

  // A rollback gets by without the content that it replaces: that may be what is lost.
  async #contentBefore({ kind, signal }: Publication, { head }: BookPage): Promise<ReleaseContent | undefined> {
    if (head === undefined) return undefined
    const { release, content } = head.value
    if (content !== undefined) return content
    return this.#parts.contents.load(release.hash, signal).catch((error: unknown) => {
      if (kind === 'rollback') return undefined
      throw error
    })
  }

  async #repeated(publication: Publication, page: BookPage, number: number): Promise<Published> {
    const { book, contents } = this.#parts
    const { requestId, signal } = publication
    const stored = (await book.releases([number], signal)).get(number)
    const content = stored?.content ?? (stored && (await contents.load(stored.release.hash, signal)))
    if (stored === undefined || content === undefined || !(await publication.matches(stored.release, content))) {
      throw new InvalidArgumentError(
        'requestId',
        `The request id ${show(requestId)} stands for release ${number}, which says something else: use a new id for a new publish.`,
      )
    }
    const candidate = page.candidate?.value.release.number === number ? page.candidate : undefined
    return { release: stored.release, isNew: false, committedAtMs: stored.release.publishedAtMs, candidate }
  }

  #release(publication: Publication, { head, lastNumber }: BookPage, hash: string): Release {
    const { clock, scope, signWith } = this.#parts
    const { kind, rolledBackTo, author, message, requestId } = publication
    const parent = head && { number: head.value.release.number, hash: head.value.release.hash }
    const publishedAtMs = Math.round(clock.wallMs())
    const unsigned = {
      number: lastNumber + 1,
      hash,
      parent,
      kind,
      rolledBackTo,
      author,
      message,
      requestId,
      publishedAtMs,
    }
    return { ...unsigned, signature: signWith && signRelease(unsigned, { scope, ...signWith }) }
  }

  async #write(publication: Publication, page: BookPage, { release, draft, steps }: Ready): Promise<Attempt> {
    const { scope, book, contents, history } = this.#parts
    const { signal } = publication
    const isInline = draft.bytes.length <= INLINE_BYTES_MAX
    if (!isInline) await contents.save(draft, signal)
    const content = isInline ? draft.content : undefined
    const bytes = encodeRelease(scope, { release, content }, isInline ? draft.bytes : undefined)
    const [firstRule] = steps ?? []
    const candidate: StoredCandidate | undefined = steps &&
      firstRule && { release, rule: firstRule, step: 0, steps, content }
    const changes: readonly RecordChange[] = [
      ...headChanges(page, bytes, candidate && encodeCandidate(scope, candidate)),
      { kind: 'put', id: releaseId(release.number), value: bytes, expect: 'absent' },
      { kind: 'put', id: requestRecordId(release.requestId), value: encodeRequest(release.number), expect: 'absent' },
      // A rollout in steps lets nothing go: it may itself be taken back.
      ...(candidate === undefined ? await history.lettingGo(release.number, signal) : []),
    ]
    const outcome = await book.commit(changes, requestRecordId(release.requestId), signal)
    if (outcome.kind === 'conflict') return { kind: 'conflict', ids: outcome.conflicts.map(({ id }) => id) }
    if (!isInline) this.#parts.wroteContent()
    const { revision, committedAtMs } = outcome
    const version = revision.commit
    if (candidate === undefined) {
      const lastNumber = release.number
      const head = { value: { release, content }, version }
      history.wentOn(release)
      book.sawHead(release.number)
      this.#remembered = { ...page, head, candidate: undefined, lastNumber, requested: undefined, committedAtMs }
    }
    const entry = candidate && { value: candidate, version }
    return { kind: 'published', published: { release, isNew: true, committedAtMs, candidate: entry } }
  }
}

// A rollback is what repairs a scope whose head was spoilt.
function pageFor({ isRepeatable, requestId, kind, signal }: Publication): PageRequest {
  return { ...(isRepeatable && { requestId }), isForgiving: kind === 'rollback', signal }
}

function headChanges(
  { head, brokenHead }: BookPage,
  bytes: Uint8Array,
  candidate: Uint8Array | undefined,
): readonly RecordChange[] {
  const version = head?.version ?? brokenHead
  const expect = version === undefined ? 'absent' : { version }
  if (candidate === undefined) {
    return [
      { kind: 'put', id: HEAD, value: bytes, expect },
      { kind: 'check', id: CANDIDATE, expect: 'absent' },
    ]
  }
  return [
    { kind: 'check', id: HEAD, expect },
    { kind: 'put', id: CANDIDATE, value: candidate, expect: 'absent' },
  ]
}

/** @throws {ConflictError} `HF_CONFLICT` when another is the head */
export function checkExpected(scope: Scope, expectedRevision: number | undefined, { head }: BookPage): void {
  const number = head?.value.release.number ?? 0
  if (expectedRevision === undefined || expectedRevision === number) return
  throw new ConflictError(`the head of ${nameOf(scope)}`, {
    expected: revisionName(expectedRevision),
    actual: revisionName(number),
    ...(head !== undefined && { winner: winnerOf(head.value.release) }),
  })
}

function checkNoRollout(scope: Scope, { candidate }: BookPage): void {
  if (candidate === undefined) return
  const { release, step, steps } = candidate.value
  throw new ConflictError(nameOf(scope), {
    expected: 'free of a rollout in steps',
    actual: `at step ${step + 1} of ${steps.length} of release ${release.number}`,
    winner: winnerOf(release),
  })
}

// On top of nothing a patch would take away all that it does not name.
function checkNotLost(scope: Scope, { kind, expectedRevision }: Publication, { head, lastKept }: BookPage): void {
  if (kind === 'rollback' || expectedRevision === 0 || head !== undefined || lastKept === 0) return
  throw new UntrustedReleaseError(
    `The head of ${nameOf(scope)} is gone, and its history goes up to release ${lastKept}: \`rollback({ to: ${lastKept} })\` ` +
      'brings it back, and a publish that expects revision 0 goes on without it.',
  )
}

// The same, of a store that has nothing left to tell that there was something: who saw it knows.
function checkNotWiped(
  { scope, seenHead }: ReleaseBook,
  { isPartial, expectedRevision }: Publication,
  { head }: BookPage,
): void {
  if (!isPartial || expectedRevision === 0 || head !== undefined || seenHead === 0) return
  throw new ConflictError(`the head of ${nameOf(scope)}`, {
    expected: revisionName(seenHead),
    actual:
      'gone: the store lost it, and on top of nothing a patch would be all there is (`expectedRevision: 0` begins anew)',
  })
}

function nameOf({ app, env }: Scope): string {
  return `${app}:${env}`
}

function revisionName(number: number): string {
  return number === 0 ? 'without a release' : `release ${number}`
}

function winnerOf({ author, message }: Release): string {
  return message === '' ? author : `${author}: ${show(message)}`
}
