import type { Clock } from '../clock.ts'
import { UnavailableError } from '../errors.ts'
import type { LeaseRequest } from '../ports/leases.ts'

const RETRY_MS = 100

/** What taking back needs of a store. */
export interface TakeBackSettings {
  readonly clock: Clock
  /** Gives back, or leaves the queue; `lost` when there was nothing. */
  readonly release: (request: LeaseRequest) => Promise<unknown>
  /** How long a request can matter on the server. */
  readonly patienceMsOf: (request: LeaseRequest) => number
  /** Whether a question may be carried out after a release that was sent later, as over two connections. @default false */
  readonly mayOvertake?: boolean
  /** Whether nobody is there any more to ask. */
  readonly isClosed: () => boolean
}

/** Takes back, in the background, what requests that were given up may have left on the server. */
export class TakeBacks {
  readonly #settings: TakeBackSettings
  readonly #underWay = new Set<Promise<void>>()

  constructor(settings: TakeBackSettings) {
    this.#settings = settings
  }

  /** `asked` is the last question about the request, answered or not. */
  start(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    const work = this.#takeBackAfter(request, asked).finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
  }

  /** Settles when nothing is being taken back any more. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  async #takeBackAfter(request: LeaseRequest, asked: Promise<unknown> | undefined): Promise<void> {
    let isAnswered = asked === undefined
    const answered = asked?.catch(() => undefined).then(() => (isAnswered = true))
    await this.#takeBack(request)
    if (asked === undefined || (isAnswered && this.#settings.mayOvertake !== true)) return
    // The question is sent again when its connection broke: the server may hear of it only now. Where it may be overtaken, its answer
    // does not tell whether it was before the release.
    await answered
    await this.#takeBack(request)
  }

  async #takeBack(request: LeaseRequest): Promise<void> {
    const { clock, release, patienceMsOf, isClosed } = this.#settings
    const untilMs = clock.monotonicMs() + patienceMsOf(request)
    while (!isClosed()) {
      try {
        await release(request)
        return
      } catch (error) {
        if (!(error instanceof UnavailableError)) return
        if (clock.monotonicMs() >= untilMs) return
        await new Promise<void>(resolve => clock.setTimer(resolve, RETRY_MS))
      }
    }
  }
}
