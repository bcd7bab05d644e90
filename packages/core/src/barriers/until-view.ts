import { onAbort, orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'
import { ClosedError, RefusedError, UnavailableError, UnknownOutcomeError } from '../errors.ts'
import type { BarrierWait } from '../ports/barriers.ts'
import { systemRandom } from '../random.ts'
import type { DirectoryView } from '../records/watch.ts'
import { Bell } from './bell.ts'
import { onClosing } from './closing.ts'
import type { SharedDirectory } from './shared-watch.ts'
import { shareWatch } from './shared-watch.ts'

/** A directory that was read. */
export type ReadView = Exclude<DirectoryView, { kind: 'unread' }>

/** What somebody waits to see in. */
export interface WatchedDirectory extends SharedDirectory {
  /** Whether what was read before the call will do as well, for it shows in what is read. @default false */
  readonly mayBeOld?: boolean
}

const RETRY_MS = 100

/**
 * Watches a directory until `decide` answers something else than undefined, and answers that. It is asked again with each new view, the
 * first of which was read since the call. Who waits for the same directory shares the watch. It may write to the directory: should the store not answer, or not say what became of it, it is asked again soon.
 *
 * @throws {RefusedError} `HF_REFUSED`
 * @throws {ClosedError} `HF_CLOSED`
 */
export async function untilView<T>(
  backend: Backend,
  awaited: WatchedDirectory,
  wait: BarrierWait,
  decide: (view: ReadView) => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const { signal, waiting } = wait
  signal?.throwIfAborted()
  const bell = new Bell(backend.clock)
  const stops = [onClosing(backend, () => bell.fail(new ClosedError(`${backend.kind} backend`)))]
  const view = freshView(backend, awaited, bell)
  stops.push(
    view.close,
    onAbort(signal, reason => bell.fail(reason)),
  )
  try {
    for (;;) {
      const { current } = view
      const outcome = current === undefined ? undefined : await orAborted(decided(current, decide), signal)
      if (outcome?.kind === 'decided') return outcome.value
      if (outcome?.kind === 'not-yet') waiting?.()
      await bell.heard(outcome?.kind === 'unanswered' ? RETRY_MS * (1 + systemRandom.next()) : undefined)
    }
  } finally {
    for (const stop of stops) stop()
  }
}

interface FreshView {
  /** Undefined until there is one that was read since. */
  readonly current: ReadView | undefined
  readonly close: () => void
}

/** Rings whenever there is something new to see; fails when the server refuses to show it. */
function freshView(backend: Backend, { mayBeOld = false, ...watched }: WatchedDirectory, bell: Bell): FreshView {
  const { watch, isNew, leave } = shareWatch(backend, watched)
  let freshness: 'fresh' | 'asked' | 'missed' = isNew || mayBeOld ? 'fresh' : 'asked'
  const refreshed = (): void => {
    freshness = 'fresh'
    bell.ring()
  }
  const subscriptions = [
    watch.view.subscribe(() => bell.ring()),
    watch.link.subscribe(link => {
      // What failed was asked before: what is answered now was asked since.
      if (link.kind === 'answering' && freshness === 'missed') refreshed()
      if (link.kind === 'failing' && link.cause instanceof RefusedError) bell.fail(link.cause)
    }),
  ]
  if (freshness === 'asked') watch.refresh().then(refreshed, () => (freshness = 'missed'))
  return {
    get current() {
      const { current } = watch.view
      return freshness !== 'fresh' || current.kind === 'unread' ? undefined : current
    },
    close() {
      for (const subscription of subscriptions) subscription.close()
      leave()
    },
  }
}

type Outcome<T> =
  | { readonly kind: 'decided'; readonly value: T }
  | { readonly kind: 'not-yet' }
  /** The store did not answer. */
  | { readonly kind: 'unanswered' }

async function decided<T>(
  view: ReadView,
  decide: (view: ReadView) => T | undefined | Promise<T | undefined>,
): Promise<Outcome<T>> {
  try {
    const value = await decide(view)
    return value === undefined ? { kind: 'not-yet' } : { kind: 'decided', value }
  } catch (error) {
    if (error instanceof UnavailableError || error instanceof UnknownOutcomeError) return { kind: 'unanswered' }
    throw error
  }
}
