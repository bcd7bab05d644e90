import type { Announcement, Backend, Random, Timer } from '@holdfast/core'
import { announceRecord } from '@holdfast/core'
import { encodeReport } from '../release/codec.ts'
import type { Scope } from '../release/scope.ts'
import { placesOf } from '../release/scope.ts'
import type { InstanceReport } from './report.ts'

/** What is reported, and where to. */
export interface ReporterOptions {
  readonly backend: Backend
  readonly scope: Scope
  readonly random: Random
  /** Asked when it is sent. */
  readonly report: () => InstanceReport
}

const DELAY_MS = { min: 100, max: 300 }

/** Says what this instance runs on, as an ephemeral record of its scope. */
export class Reporter {
  readonly #options: ReporterOptions
  readonly #announcement: Announcement
  #timer: Timer | undefined

  constructor(options: ReporterOptions) {
    this.#options = options
    const { backend, scope, report } = options
    const value = report()
    this.#announcement = announceRecord(backend, {
      directory: placesOf(scope).instances,
      id: value.id,
      value: encodeReport(value),
    })
  }

  /** Sends it anew, 100 to 300 ms later: the reports of a fleet must not stand in the way of its reads. */
  update(): void {
    if (this.#timer !== undefined) return
    const { backend, random, report } = this.#options
    this.#timer = backend.clock.setTimer(
      () => {
        this.#timer = undefined
        this.#announcement.update(encodeReport(report()))
      },
      DELAY_MS.min + random.next() * (DELAY_MS.max - DELAY_MS.min),
    )
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
    await this.#announcement.leave()
  }
}
