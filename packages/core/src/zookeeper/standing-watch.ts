import type { Clock, Timer } from '../clock.ts'
import { CODE, OperationError, isCode, isFailure } from './errors.ts'
import type { Operation } from './operations.ts'
import { removeWatches } from './operations.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

/** What a standing watch works with. */
export interface WatchParts {
  readonly sessions: Sessions
  readonly clock: Clock
}

/** Hears of a node. None of these may throw. */
export interface NodeListener {
  /** Changes are told from now on; what came before may have been missed. */
  armed(): void
  /** What is read from now on is not older than the change. */
  changed(): void
  /** Changes are not told until it is armed again. */
  lost(cause: unknown): void
}

const RETRY_MS = 1_000

/**
 * Watches a node for as long as somebody wants to know, over connections and sessions. ZooKeeper tells each watch once, so it is
 * set again on each event, and before the listener hears of it: what he then asks the server is answered behind that.
 */
export class StandingWatch {
  readonly #parts: WatchParts
  readonly #path: string
  readonly #questions: readonly (() => Operation<unknown>)[]
  readonly #listener: NodeListener
  readonly #hear = (): void => this.#heard()
  #session: Session | undefined
  // Of the last time it was set; answers to earlier ones count for nothing.
  #round = 0
  #isAsking = false
  // A connection was lost while it was being set, so some of it may be gone.
  #isTorn = false
  #timer: Timer | undefined
  #isClosed = false

  /** The answers to `questions` are of no interest, only the watches that they set. */
  constructor(
    parts: WatchParts,
    path: string,
    questions: readonly (() => Operation<unknown>)[],
    listener: NodeListener,
  ) {
    this.#parts = parts
    this.#path = path
    this.#questions = questions
    this.#listener = listener
  }

  start(): void {
    this.#arm()
  }

  /** Leaves nothing, neither here nor at the server. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    const session = this.#session
    session?.watches.remove(this.#path, this.#hear)
    // What is under way would set it yet.
    const isSet = session?.state.kind === 'connected' || this.#isAsking
    if (isSet) session?.runPatiently(removeWatches(this.#path)).catch(() => undefined)
  }

  #heard(): void {
    if (this.#isClosed) return
    const session = this.#session
    if (session?.state.kind === 'connected') {
      this.#arm()
      this.#listener.changed()
      return
    }
    this.#listener.lost(session === undefined ? undefined : causeIn(session))
    // What is under way is asked again over the next connection, by the session.
    if (this.#isAsking && session?.isOver === false) {
      this.#isTorn = true
      session.watches.add(this.#path, this.#hear)
    } else {
      this.#arm()
    }
  }

  #arm(): void {
    const round = (this.#round += 1)
    try {
      const session = this.#parts.sessions.current
      this.#session = session
      this.#isAsking = true
      this.#isTorn = false
      session.watches.add(this.#path, this.#hear)
      // Patiently: while there is no connection it waits for one.
      void Promise.all(this.#questions.map(question => ask(session, question()))).then(
        () => this.#settled(round),
        (error: unknown) => this.#failed(round, error),
      )
    } catch (error) {
      queueMicrotask(() => this.#failed(round, error))
    }
  }

  #settled(round: number): void {
    if (this.#isClosed || round !== this.#round) return
    this.#isAsking = false
    if (this.#isTorn) this.#arm()
    else this.#listener.armed()
  }

  #failed(round: number, error: unknown): void {
    if (this.#isClosed || round !== this.#round) return
    this.#isAsking = false
    this.#listener.lost(error)
    const isRefused = isFailure(error, 'refused')
    if (isRefused) this.#timer = this.#parts.clock.setTimer(() => this.#arm(), RETRY_MS)
  }
}

function causeIn({ state, cause }: Session): unknown {
  return state.kind === 'over' ? new OperationError(state.failure, { cause }) : cause
}

async function ask(session: Session, question: Operation<unknown>): Promise<void> {
  try {
    await session.runPatiently(question)
  } catch (error) {
    // The watch for a node to come is set all the same.
    if (!isCode(error, CODE.noNode)) throw error
  }
}
