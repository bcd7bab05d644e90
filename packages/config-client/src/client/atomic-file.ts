import { copyFile, link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '@holdfast/core'
import { randomId, systemRandom } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'

const TEMPORARY = /\.(\d+)\.[\w-]{22}\.tmp$/
const TIDY_AGE_MS = 60_000

/** How a file is replaced. */
export interface ReplaceOptions {
  /** What is there now is kept under this path. @default it is lost */
  readonly keepAs?: string | undefined
}

/**
 * Replaces a file in one step: whoever reads it, also after a crash or a power cut at any moment, finds the old or the new one.
 * Readable by its owner alone.
 */
export async function replaceFile(path: string, text: string, { keepAs }: ReplaceOptions = {}): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = temporaryName(path)
  try {
    await writeDurably(temporary, text)
    if (keepAs !== undefined) await keep(path, keepAs)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncFolder(folder)
}

/** The text of a file; undefined where there is none. What is no regular file is refused: reading a pipe would wait for ever. */
export async function readRegularFile(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path)
    if (found.isFile()) return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  throw new UntrustedReleaseError('it is not a regular file.')
}

/** Removes temporary files that processes which are gone have left beside `path`. */
export async function tidyTemporaryFiles(path: string, clock: Clock): Promise<void> {
  const folder = dirname(path)
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter(other => other.startsWith(`${basename(path)}.`))) {
    const pid = TEMPORARY.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    const file = join(folder, name)
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Infinity }))
    // A process of another machine or container that shares the folder is not seen here, and is not that slow.
    if (clock.wallMs() - mtimeMs > TIDY_AGE_MS) await rm(file, { force: true }).catch(() => undefined)
  }
}

/** Whether a process of this machine runs; one that may not be asked does. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function temporaryName(path: string): string {
  return `${path}.${process.pid}.${randomId(systemRandom)}.tmp`
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function keep(path: string, keepAs: string): Promise<void> {
  const temporary = temporaryName(path)
  try {
    // Some file systems have no links.
    await link(path, temporary).catch(() => copyFile(path, temporary))
    await rename(temporary, keepAs)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    // A rename onto another name of the same file does nothing, and leaves both.
    await rm(temporary, { force: true })
  }
}

// So that the new name survives a power cut. Where folders cannot be opened (Windows) there is nothing to be done.
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  try {
    await handle?.sync()
  } catch {
    // As above.
  } finally {
    await handle?.close()
  }
}
