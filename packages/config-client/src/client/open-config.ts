import { onAbort } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import { NoConfigError, describeIssue } from '../errors.ts'
import type { ReleaseName } from '../release/release.ts'
import type { Config } from './config.ts'
import { ConfigClient } from './config-client.ts'
import { Files } from './files.ts'
import type { CheckedOptions, ConfigOptions } from './options.ts'
import { checkConfigOptions } from './options.ts'

/**
 * Opens a service's configuration and follows it until it is closed. Resolves with values of the store; of the fallbacks when the
 * store has not answered within `startup.timeoutMs`, or has nothing that can be used.
 *
 * @example
 * const config = await openConfig({ backend, app: 'shop', env: 'prod', namespaces: [checkout], snapshotDir: '/var/lib/shop' })
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {NoConfigError} `HF_NO_CONFIG` when neither the store nor a fallback has a configuration that can be used
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when the backend has no records, or no leases for `maxConcurrentApplies`
 */
export async function openConfig(options: ConfigOptions): Promise<Config> {
  const checked = checkConfigOptions(options)
  checked.signal?.throwIfAborted()
  const files = new Files(checked)
  await files.load()
  checked.signal?.throwIfAborted()
  const client = new ConfigClient(checked, files)
  try {
    await new Start(checked, client, files).run()
    return client
  } catch (error) {
    await client.close()
    throw error
  }
}

/** The way from nothing to a first snapshot. */
class Start {
  readonly #options: CheckedOptions
  readonly #client: ConfigClient
  readonly #files: Files
  readonly #deadlineMs: number
  readonly #problems: string[] = []

  constructor(options: CheckedOptions, client: ConfigClient, files: Files) {
    this.#options = options
    this.#client = client
    this.#files = files
    this.#deadlineMs = options.backend.clock.monotonicMs() + options.startup.timeoutMs
  }

  async run(): Promise<void> {
    const { follower } = this.#client
    const [newest] = this.#mayUse('last-known-good') ? this.#files.found : []
    follower.startFrom(newest && { ...newest, release: nameOf(newest.release) })
    await this.#untilAnswered()
    if (!this.#isStarted) await this.#fallBack()
    if (!this.#isStarted) await this.#takeWhatThereIs()
    if (!this.#isStarted) throw this.#failure()
    this.#client.beginReports()
  }

  get #isStarted(): boolean {
    return this.#client.applier.snapshot !== undefined
  }

  #mayUse(fallback: CheckedOptions['startup']['fallback'][number]): boolean {
    return this.#options.startup.fallback.includes(fallback)
  }

  // Until the store has led to a snapshot or to a clear no, or the time is up.
  #untilAnswered(): Promise<void> {
    const { backend, signal } = this.#options
    const leftMs = this.#deadlineMs - backend.clock.monotonicMs()
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#client.onChange = () => {}
        timer.cancel()
        stopListening()
      }
      const look = (): void => {
        if (!this.#isStarted && !this.#isAnswered) return
        end()
        resolve()
      }
      // Somebody awaits it.
      const timer = backend.clock.setTimer(
        () => {
          end()
          resolve()
        },
        leftMs,
        { background: false },
      )
      const stopListening = onAbort(signal, reason => {
        end()
        reject(reason as Error)
      })
      this.#client.onChange = look
      look()
    })
  }

  get #isAnswered(): boolean {
    const { state } = this.#client.status()
    return state !== 'unreachable' && state !== 'behind'
  }

  async #fallBack(): Promise<void> {
    for (const fallback of this.#options.startup.fallback) {
      if (this.#isStarted) return
      if (fallback === 'defaults') await this.#use({ release: undefined, content: undefined, source: 'defaults' })
      else await this.#useLastKnownGood()
    }
  }

  async #useLastKnownGood(): Promise<void> {
    for (const { release, content } of this.#files.found) {
      if (this.#isStarted) return
      const objection = await this.#files.vet(nameOf(release))
      if (objection === undefined) await this.#use({ release, content, source: 'last-known-good' })
      else this.#problem(release.number, objection.issues)
    }
  }

  // What the store gave meanwhile is better.
  async #use(to: Parameters<ConfigClient['applier']['apply']>[0]): Promise<void> {
    if (this.#isStarted) return
    const never = { signal: new AbortController().signal, isSuperseded: () => false }
    const outcome = await this.#client.applier.apply(to, never)
    if (outcome.kind === 'refused') this.#problem(to.release?.number, outcome.refusal.issues)
  }

  #problem(number: number | undefined, issues: readonly ConfigIssue[]): void {
    const what = number === undefined ? 'The defaults' : `Release ${number} of the last-known-good file`
    this.#problems.push(`${what} cannot be used: ${issues.map(describeIssue).join('; ')}.`)
  }

  // A store that went back is better than no service, and so is a release that starts died on. One that may be forged is not.
  async #takeWhatThereIs(): Promise<void> {
    const { follower } = this.#client
    if (this.#client.status().state === 'regressed' && this.#options.trust === undefined) {
      follower.startFrom(undefined)
      await this.#untilAnswered()
    }
    if (this.#isStarted || !this.#files.hasBraked) return
    this.#files.release()
    // It may not answer any more; then the file is what there is.
    await follower.force().catch(() => undefined)
    if (!this.#isStarted) await this.#fallBack()
  }

  #failure(): NoConfigError {
    const { app, env } = this.#options.scope
    const { detail, lastError } = this.#client.status()
    const problems = this.#problems.map(problem => ` ${problem}`).join('')
    return new NoConfigError(`There is no configuration of ${app} in ${env} to start with. ${detail}${problems}`, {
      cause: lastError,
    })
  }
}

function nameOf({ number, hash }: ReleaseName): ReleaseName {
  return { number, hash }
}
