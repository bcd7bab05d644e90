import type { Clock, Timer } from '../clock.ts'
import { CODE, isCode, isFailure } from './errors.ts'
import { MODE, NO_DATA, create, setData } from './operations.ts'
import { makeParents } from './parents.ts'
import type { Session } from './session.ts'

/** A write is due when the last acknowledged one was sent this part of the session's timeout ago. */
const BEAT_RATIO = 1 / 4
const ROUNDS_MAX = 5

/**
 * Proves that the session lives by writing to an ephemeral node of its own, while something is held or waited for. A ping, or a
 * read, would prove less: a server that is cut off from the others answers both, and the session may be over all the same.
 *
 * What is created and released proves as much, so a busy session needs no heartbeats, and an idle one has nothing to prove: the
 * driver's pings keep it.
 */
export class Heartbeat {
  readonly #session: Session
  readonly #clock: Clock
  readonly #path: string
  #needs = 0
  #isNodeMade = false
  #timer: Timer | undefined
  #beating: Promise<void> | undefined

  constructor(session: Session, clock: Clock, path: string) {
    this.#session = session
    this.#clock = clock
    this.#path = path
  }

  /** Something more rests on the session. */
  need(): void {
    this.#needs += 1
    if (this.#timer === undefined && !this.#session.isOver) this.#lookIn(this.#session.timeoutMs * BEAT_RATIO)
  }

  /** Something rests on it no more. */
  unneed(): void {
    this.#needs -= 1
  }

  /** Writes now. Resolves when the quorum has acknowledged it; one that is under way will do. */
  beat(): Promise<void> {
    this.#beating ??= this.#write().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  /** To be called when there is a connection again. */
  resume(): void {
    if (this.#needs > 0) this.#beatInBackground()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#clock.setTimer(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = undefined
    if (this.#needs === 0 || this.#session.isOver) return
    const intervalMs = this.#session.timeoutMs * BEAT_RATIO
    const restMs = intervalMs - (this.#session.deadline?.ageMs() ?? 0)
    if (restMs > 1) return this.#lookIn(restMs)
    this.#beatInBackground()
    this.#lookIn(intervalMs)
  }

  // When it fails, the next one or the next connection tries again; the deadline stands.
  #beatInBackground(): void {
    if (this.#beating === undefined) this.beat().catch(() => undefined)
  }

  async #write(): Promise<void> {
    for (let round = 1; ; round++) {
      try {
        if (this.#isNodeMade) await this.#session.run(setData(this.#path, NO_DATA))
        else await this.#session.run(create(this.#path, NO_DATA, MODE.ephemeral, this.#session.acl))
        this.#isNodeMade = true
        return
      } catch (error) {
        // Of a heartbeat that was cut another does no harm.
        if (round === ROUNDS_MAX) throw error
        if (!isFailure(error, 'cut')) await this.#repair(error)
      }
    }
  }

  async #repair(error: unknown): Promise<void> {
    if (isCode(error, CODE.nodeExists)) {
      // Made by ourselves, and the reply was lost.
      this.#isNodeMade = true
    } else if (isCode(error, CODE.noNode)) {
      if (this.#isNodeMade) this.#isNodeMade = false
      else await makeParents(this.#session, this.#path)
    } else {
      throw error
    }
  }
}
