import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import { UnavailableError } from '../errors.ts'
import { CODE, isCode, isFailure, toHoldfastError } from './errors.ts'
import type { Operation } from './operations.ts'
import type { Session } from './session.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** What a patience is made of. */
export interface PatienceParts {
  readonly lifecycle: BackendLifecycle
  readonly waitingRoom: WaitingRoom
  /** Whether to wait for others; without, being behind somebody ends it. */
  readonly mayWait: boolean
  readonly signal: AbortSignal | undefined
  /** Called once others are seen to be before it. */
  readonly queued: (() => void) | undefined
}

/** How one request waits, and for how long. */
export class Patience {
  readonly #parts: PatienceParts
  #isQueued = false

  constructor(parts: PatienceParts) {
    this.#parts = parts
  }

  get mayWait(): boolean {
    return this.#parts.mayWait
  }

  get signal(): AbortSignal | undefined {
    return this.#parts.signal
  }

  queued(): void {
    this.#isQueued = true
    this.#parts.queued?.()
  }

  /**
   * Whether to wait on after this: who queues keeps the place while ZooKeeper does not answer. Once the session is over so is the
   * place.
   */
  outlasts(error: unknown): boolean {
    if (!this.#isQueued || !this.mayWait || isFailure(error, 'session-lost')) return false
    return toHoldfastError(error, '') instanceof UnavailableError
  }

  checkWanted(): void {
    this.#parts.signal?.throwIfAborted()
    this.#parts.lifecycle.checkOpen()
  }

  /**
   * Until a node changes, goes, or the connection breaks, or the wish is aborted: whichever it was, the next look tells. `question`
   * sets the watch; one that finds no node (`getData`, and not `exists`, which would leave its watch there for good) ends it, as does
   * an answer that is enough. True when the node is known to be gone.
   */
  untilChanged<T>(
    session: Session,
    path: string,
    question: Operation<T>,
    isEnough: (answer: T) => boolean = () => false,
  ): Promise<boolean> {
    const { waitingRoom, signal } = this.#parts
    return new Promise((resolve, reject) => {
      let stopListening = (): void => undefined
      const settle = (how: () => void): void => {
        waitingRoom.leave(wake)
        session.watches.remove(path, heard)
        stopListening()
        how()
      }
      const heard = (isGone: boolean): void => settle(() => resolve(isGone))
      const wake = (): void => heard(false)
      waitingRoom.enter(wake)
      session.watches.add(path, heard)
      stopListening = onAbort(signal, wake)
      session.run(question).then(
        answer => {
          if (isEnough(answer)) wake()
        },
        (error: unknown) => {
          if (isCode(error, CODE.noNode)) heard(true)
          else settle(() => reject(error))
        },
      )
    })
  }
}
