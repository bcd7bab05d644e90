import { show } from '@holdfast/core'
import { link, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { CommandError } from '../exit-codes.ts'

/** A file and what it is to say. */
export interface FileText {
  readonly output: string
  readonly text: string
}

/** What is done on the way to a new set of files. */
export interface FileSetSteps {
  /** Refuses a text before any file is touched; `staged` is a file beside the output that has it. */
  readonly check: (file: FileText, staged: string) => Promise<void>
  /** Makes the new files effective; called again for the old ones when it fails. */
  readonly reload: (stage: 'new' | 'restored') => Promise<void>
  /** Permissions of a file that is not there yet; one that is there keeps its own, and its owner. */
  readonly modeOfNew: number
}

interface Target extends FileText {
  readonly path: string
  readonly existing: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined
}

interface Journal {
  readonly files: readonly { readonly path: string; readonly existed: boolean }[]
}

/**
 * Replaces files as one: writes all beside their places, checks all, keeps the old ones, renames all, reloads. When anything fails
 * all files are what they were, byte for byte and with their owner and mode (the old file itself comes back, it is no copy), and
 * when it was the reload, that is done again for them. Files that would not change are left alone; when none would, nothing is done.
 *
 * A process that is killed on the way leaves a journal beside the first file: `restoreUnfinished` goes by it. One process at a
 * time may replace a file.
 *
 * @throws {CommandError} `refused` when a check or the reload fails; errors of the file system as they are
 */
export async function replaceFiles(files: readonly FileText[], steps: FileSetSteps): Promise<'replaced' | 'unchanged'> {
  const changed = await changedOf(await Promise.all(files.map(targetOf)))
  if (changed.length === 0) return 'unchanged'
  try {
    for (const target of changed) await stage(target, steps.modeOfNew)
    for (const target of changed) await steps.check(target, stagedPath(target.path))
    for (const target of changed) await keep(target)
  } catch (error) {
    await Promise.all(changed.map(({ path }) => discard(path)))
    throw error
  }
  await exchange(changed)
  try {
    await steps.reload('new')
  } catch (error) {
    await restore(journalOf(changed), firstOf(changed))
    throw await reloadFailed(error, steps)
  }
  await forget(changed)
  return 'replaced'
}

/**
 * Brings back the old files when a process was killed while it replaced these. Call it before `replaceFiles`.
 *
 * @returns whether there was something to bring back
 */
export async function restoreUnfinished(outputs: readonly string[]): Promise<boolean> {
  const paths = await Promise.all(outputs.map(pathOf))
  let isRestored = false
  for (const path of paths) {
    const journal = await readJournal(path)
    if (journal === undefined) continue
    // A journal may only speak of files that are ours to write: whoever can write here could have put it here.
    await restore({ files: journal.files.filter(file => paths.includes(file.path)) }, path)
    isRestored = true
  }
  return isRestored
}

async function targetOf({ output, text }: FileText): Promise<Target> {
  const path = await pathOf(output)
  const found = await orMissing(stat(path))
  if (found !== undefined && !found.isFile()) {
    throw new CommandError('failed', `Expected ${show(output)} to be a file, or nothing yet.`)
  }
  const existing = found === undefined ? undefined : { mode: found.mode & 0o7777, uid: found.uid, gid: found.gid }
  return { output, text, path, existing }
}

/** Where a file really is: what a symbolic link points to is replaced, not the link. */
async function pathOf(output: string): Promise<string> {
  return (await orMissing(realpath(output))) ?? resolve(output)
}

async function changedOf(targets: readonly Target[]): Promise<readonly Target[]> {
  const isSame = await Promise.all(
    targets.map(async ({ path, text }) => (await orMissing(readFile(path)))?.equals(Buffer.from(text)) ?? false),
  )
  return targets.filter((_, index) => isSame[index] !== true)
}

async function stage({ path, text, existing }: Target, modeOfNew: number): Promise<void> {
  const staged = stagedPath(path)
  await rm(staged, { force: true })
  const file = await open(staged, 'wx', 0o600)
  try {
    await file.writeFile(text)
    const made = await file.stat()
    if (existing !== undefined && (made.uid !== existing.uid || made.gid !== existing.gid)) {
      await file.chown(existing.uid, existing.gid)
    }
    await file.chmod(existing?.mode ?? modeOfNew)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function keep({ path, existing }: Target): Promise<void> {
  await rm(keptPath(path), { force: true })
  if (existing !== undefined) await link(path, keptPath(path))
}

async function exchange(changed: readonly Target[]): Promise<void> {
  const first = firstOf(changed)
  try {
    await writeJournal(first, journalOf(changed))
    for (const { path } of changed) await rename(stagedPath(path), path)
    await syncFolders(changed.map(({ path }) => path))
  } catch (error) {
    await restore(journalOf(changed), first)
    throw error
  }
}

async function reloadFailed(error: unknown, { reload }: FileSetSteps): Promise<CommandError> {
  const failure = error instanceof Error ? error.message : String(error)
  try {
    await reload('restored')
    return new CommandError('refused', `${failure}. The files are what they were, and were reloaded`, { cause: error })
  } catch (again) {
    const second = again instanceof Error ? again.message : String(again)
    const message = `${failure}. The files are what they were, but to reload them failed as well: ${second}`
    return new CommandError('refused', message, { cause: error })
  }
}

/** Done: without the journal nothing is brought back, so it goes first. */
async function forget(changed: readonly Target[]): Promise<void> {
  const first = firstOf(changed)
  await rm(journalPath(first), { force: true })
  await syncFolders([first])
  await Promise.all(changed.map(({ path }) => discard(path)))
}

/** Can be broken off at any point and done again. A new file whose staged one is still there was never put in place. */
async function restore({ files }: Journal, first: string): Promise<void> {
  for (const { path, existed } of files) {
    if (existed) await orMissing(rename(keptPath(path), path))
    else if (!(await isThere(stagedPath(path)))) await rm(path, { force: true })
    await discard(path)
  }
  await syncFolders(files.map(({ path }) => path))
  await rm(journalPath(first), { force: true })
}

async function discard(path: string): Promise<void> {
  await rm(stagedPath(path), { force: true })
  await rm(keptPath(path), { force: true })
}

function journalOf(changed: readonly Target[]): Journal {
  return { files: changed.map(({ path, existing }) => ({ path, existed: existing !== undefined })) }
}

async function writeJournal(first: string, journal: Journal): Promise<void> {
  const file = await open(journalPath(first), 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify(journal))
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolders([first])
}

async function readJournal(first: string): Promise<Journal | undefined> {
  const text = await orMissing(readFile(journalPath(first), 'utf8'))
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Journal
  } catch {
    // Killed while it wrote the journal, so before it renamed anything.
    return { files: [] }
  }
}

async function syncFolders(paths: readonly string[]): Promise<void> {
  for (const folder of new Set(paths.map(path => dirname(path)))) {
    const handle = await open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  }
}

function firstOf(changed: readonly Target[]): string {
  return changed[0]?.path ?? ''
}

function stagedPath(path: string): string {
  return beside(path, 'new')
}

function keptPath(path: string): string {
  return beside(path, 'old')
}

function journalPath(path: string): string {
  return beside(path, 'undo')
}

function beside(path: string, what: string): string {
  return join(dirname(path), `.${basename(path)}.holdfast-${what}`)
}

async function isThere(path: string): Promise<boolean> {
  return (await orMissing(stat(path))) !== undefined
}

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
