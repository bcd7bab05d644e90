import type { Target } from '../follow/store-says.ts'
import type { ReleaseContent, ReleaseName } from '../release/release.ts'
import { CrashBrake } from './crash-brake.ts'
import type { KnownGood } from './last-known-good.ts'
import { LastKnownGood, pathOfScope } from './last-known-good.ts'
import type { CheckedOptions } from './options.ts'
import type { Refusal } from './report.ts'
import { configEvent } from './telemetry.ts'

/** What is kept in `snapshotDir`, or nothing where there is none: the last-known-good file, and the count of starts. */
export class Files {
  readonly #options: CheckedOptions
  readonly #lastKnownGood: LastKnownGood | undefined
  readonly #brake: CrashBrake | undefined
  readonly #notes: string[] = []
  #found: readonly KnownGood[] = []
  #isBrakeOff = false
  #hasBraked = false
  /** By file, until it is written. */
  readonly #errors: { lastKnownGood?: unknown; starts?: unknown } = {}

  constructor(options: CheckedOptions) {
    this.#options = options
    const { snapshotDir: folder, scope, crashLoop, backend } = options
    if (folder === undefined) return
    const { clock } = backend
    this.#lastKnownGood = new LastKnownGood({ folder, scope, clock, ...this.#listeningTo('lastKnownGood') })
    if (crashLoop === undefined) return
    const path = `${pathOfScope(folder, scope)}.starts.json`
    this.#brake = new CrashBrake({ ...crashLoop, path, clock, ...this.#listeningTo('starts') })
  }

  /** For people: what could not be used, and why something else is. */
  get notes(): readonly string[] {
    return this.#notes
  }

  get lastError(): unknown {
    return this.#errors.lastKnownGood ?? this.#errors.starts
  }

  /** The releases that were applied last, the newest first. */
  get found(): readonly KnownGood[] {
    return this.#found
  }

  /** Whether a release was not tried because starts died on it. */
  get hasBraked(): boolean {
    return this.#hasBraked
  }

  /** Never rejects: a file that cannot be read is one of the notes. */
  async load(): Promise<void> {
    await this.#brake?.load()
    const loaded = await this.#lastKnownGood?.load()
    this.#found = loaded?.found ?? []
    this.#notes.push(...(loaded?.problems ?? []))
  }

  /** Before a first release is applied: refuses one that starts died on, and notes that this start runs on another. */
  async vet(release: ReleaseName): Promise<Omit<Refusal, 'release'> | undefined> {
    if (this.#isBrakeOff || this.#brake?.isOn(release) !== true) {
      await this.#brake?.runsOn(release)
      return undefined
    }
    const { starts = 0, withinMs = 0 } = this.#options.crashLoop ?? {}
    const message = `${starts} starts or more died on it within ${withinMs} ms, so this process does not try it`
    this.#hasBraked = true
    this.#lastKnownGood?.markUnfit(release)
    configEvent.publish({ ...this.#options.scope, event: 'crashLoop', release })
    return { stage: 'commit', participant: undefined, issues: [{ namespace: '*', path: [], message }] }
  }

  /** Somebody says that the release is to be tried all the same, or there is nothing else. */
  release(): void {
    this.#isBrakeOff = true
    this.#lastKnownGood?.markUnfit(undefined)
  }

  keep({ release, revision, headNumber }: Target, content: ReleaseContent): void {
    this.#lastKnownGood?.save({ release, content, revision, headNumber })
    void this.#brake?.runsOn({ number: release.number, hash: release.hash })
  }

  async close(): Promise<void> {
    await Promise.all([this.#lastKnownGood?.settled(), this.#brake?.close()])
  }

  #listeningTo(file: 'lastKnownGood' | 'starts'): { failed: (error: unknown) => void; written: () => void } {
    return {
      failed: error => {
        this.#errors[file] = error
        configEvent.publish({ ...this.#options.scope, event: 'fileFailed', error })
      },
      written: () => {
        this.#errors[file] = undefined
      },
    }
  }
}
