import { onAbort, orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'
import { ClosedError, RefusedError, UnavailableError, UnknownOutcomeError } from '../errors.ts'
import type { BarrierWait } from '../ports/barriers.ts'
import { systemRandom } from '../random.ts'
import type { DirectoryView, WatchOptions } from '../records/watch.ts'
import { watchDirectory } from '../records/watch.ts'
import { Bell } from './bell.ts'
import { onClosing } from './closing.ts'

/** A directory that was read. */
export type ReadView = Exclude<DirectoryView, { kind: 'unread' }>

/** What somebody waits to see in. */
export interface WatchedDirectory extends Pick<WatchOptions, 'ids' | 'ephemerals'> {
  readonly directory: string
}

// Somebody waits, so a lost notice must not cost him half a minute.
const RECONCILE_MS = 5_000
const RETRY_MS = 100

/**
 * Watches a directory until `decide` answers something else than undefined, and answers that. It is asked again with each new view.
 * It may write to the directory: should the store not answer, or not say what became of it, it is asked again soon.
 *
 * @throws {RefusedError} `HF_REFUSED`
 * @throws {ClosedError} `HF_CLOSED`
 */
export async function untilView<T>(
  backend: Backend,
  watched: WatchedDirectory,
  wait: BarrierWait,
  decide: (view: ReadView) => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const { signal, waiting } = wait
  signal?.throwIfAborted()
  const { directory, ...what } = watched
  const bell = new Bell(backend.clock)
  const stops = [onClosing(backend, () => bell.fail(new ClosedError(`${backend.kind} backend`)))]
  const watch = watchDirectory(backend, directory, { ...what, reconcileMs: RECONCILE_MS })
  watch.view.subscribe(() => bell.ring())
  watch.link.subscribe(link => {
    if (link.kind === 'failing' && link.cause instanceof RefusedError) bell.fail(link.cause)
  })
  stops.push(onAbort(signal, reason => bell.fail(reason)))
  try {
    for (;;) {
      const view = watch.view.current
      const outcome = view.kind === 'unread' ? undefined : await orAborted(decided(view, decide), signal)
      if (outcome?.kind === 'decided') return outcome.value
      if (outcome?.kind === 'not-yet') waiting?.()
      await bell.heard(outcome?.kind === 'unanswered' ? RETRY_MS * (1 + systemRandom.next()) : undefined)
    }
  } finally {
    for (const stop of stops) stop()
    watch.close()
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
