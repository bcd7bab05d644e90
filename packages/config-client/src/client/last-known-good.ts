import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock, Revision } from '@holdfast/core'
import { InvalidArgumentError, percentEncode } from '@holdfast/core'
import { UntrustedReleaseError, messageOf } from '../errors.ts'
import { decodeContent, decodeRelease, encodeContent, encodeRelease } from '../release/codec.ts'
import type { Release, ReleaseContent, ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Scope } from '../release/scope.ts'
import { readRegularFile, replaceFile, tidyTemporaryFiles } from './atomic-file.ts'

/** A release that was applied, and which state of the store it was from. Encrypted values in it are still encrypted. */
export interface KnownGood {
  readonly release: Release
  readonly content: ReleaseContent
  readonly revision: Revision
  /** The highest number that a head of that state had. */
  readonly headNumber: number
}

/** What the files say. */
export interface LoadedFiles {
  /** Those that are whole, the newest first. */
  readonly found: readonly KnownGood[]
  /** A sentence for each that is not. */
  readonly problems: readonly string[]
}

/** Where the files are, and who hears of trouble with them, and of writes without. */
export interface LastKnownGoodOptions {
  readonly folder: string
  readonly scope: Scope
  readonly clock: Clock
  readonly failed: (error: unknown) => void
  readonly written: () => void
}

interface FileBody {
  readonly scope: Scope
  readonly release: string
  readonly content: string
  readonly revision: Revision
  readonly headNumber: number
}

const FORMAT = 'holdfast-last-known-good-1'

/** The path, without extension, of a scope's files in a folder. */
export function pathOfScope(folder: string, { app, env }: Scope): string {
  // A dot in a name would make two scopes share a file.
  return join(folder, [app, env].map(name => percentEncode(name, /[.%\\]/g)).join('.'))
}

/**
 * The last release that was applied, and the one before it, as files: for starts without the store. A first line says how the
 * second, the body, must hash.
 */
export class LastKnownGood {
  readonly #options: LastKnownGoodOptions
  readonly #path: string
  readonly #previousPath: string
  #next: KnownGood | undefined
  #writing: Promise<void> | undefined
  #unfit: ReleaseName | undefined

  constructor(options: LastKnownGoodOptions) {
    this.#options = options
    this.#path = `${pathOfScope(options.folder, options.scope)}.json`
    this.#previousPath = `${this.#path}.previous`
  }

  async load(): Promise<LoadedFiles> {
    await tidyTemporaryFiles(this.#path, this.#options.clock)
    const found: KnownGood[] = []
    const problems: string[] = []
    for (const path of [this.#path, this.#previousPath]) {
      try {
        const good = await this.#read(path)
        if (good !== undefined) found.push(good)
      } catch (error) {
        problems.push(`The file ${path} is not used: ${messageOf(error)}`)
        this.#options.failed(error)
      }
    }
    return { found, problems }
  }

  /** Writes it as soon as what is being written is; of several in a row the last one counts. */
  save(good: KnownGood): void {
    this.#next = good
    this.#writing ??= this.#writeAll()
  }

  /** This one is not kept as the previous: starts died on it. */
  markUnfit(release: ReleaseName | undefined): void {
    this.#unfit = release
  }

  /** Resolves when all is written. Never rejects. */
  async settled(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    for (let good = this.#next; good !== undefined; good = this.#next) {
      this.#next = undefined
      try {
        await this.#write(good)
        this.#options.written()
      } catch (error) {
        this.#options.failed(error)
      }
    }
    this.#writing = undefined
  }

  async #write(good: KnownGood): Promise<void> {
    await replaceFile(this.#path, encodeFile(this.#options.scope, good), {
      keepAs: (await this.#isWorthKeeping(good)) ? this.#previousPath : undefined,
    })
  }

  // A file that is broken, or of the same release (other processes write it too), must not take the place of the one before.
  async #isWorthKeeping(next: KnownGood): Promise<boolean> {
    try {
      const text = await readRegularFile(this.#path)
      const current = text && releaseIn(bodyOf(this.#options.scope, text))
      if (!current || isSameRelease(current, next.release)) return false
      return this.#unfit === undefined || !isSameRelease(this.#unfit, current)
    } catch {
      return false
    }
  }

  async #read(path: string): Promise<KnownGood | undefined> {
    const text = await readRegularFile(path)
    return text === undefined ? undefined : decodeFile(this.#options.scope, text)
  }
}

function encodeFile(scope: Scope, { release, content, revision, headNumber }: KnownGood): string {
  const decoder = new TextDecoder()
  const body: FileBody = {
    scope: { app: scope.app, env: scope.env },
    release: decoder.decode(encodeRelease(scope, { release, content: undefined })),
    content: decoder.decode(encodeContent(content)),
    revision,
    headNumber,
  }
  const text = JSON.stringify(body)
  return `${sealOf(text)}\n${text}\n`
}

function decodeFile(scope: Scope, file: string): KnownGood {
  const body = bodyOf(scope, file)
  const release = releaseIn(body)
  const content = decodeContent(new TextEncoder().encode(body.content), release.hash)
  return { release, content, revision: body.revision, headNumber: body.headNumber }
}

function bodyOf(scope: Scope, file: string): FileBody {
  const [head = '', text = ''] = file.split('\n')
  if (head !== '' && !head.includes(FORMAT)) throw new UntrustedReleaseError('it has another format.')
  if (head !== sealOf(text)) throw new UntrustedReleaseError('it is torn: its checksum is wrong.')
  const body = JSON.parse(text) as FileBody
  if (body.scope.app === scope.app && body.scope.env === scope.env) return body
  throw new InvalidArgumentError('snapshotDir', `it is of ${body.scope.app}/${body.scope.env}.`)
}

function releaseIn(body: FileBody): Release {
  return decodeRelease(body.scope, new TextEncoder().encode(body.release)).release
}

/** The first line of a file whose second is this. */
function sealOf(text: string): string {
  return JSON.stringify({ format: FORMAT, sha256: createHash('sha256').update(text).digest('hex') })
}
