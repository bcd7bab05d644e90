import * as files from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FileSetSteps } from './file-set.ts'
import { replaceFiles, restoreUnfinished } from './file-set.ts'

/** After so many calls to the file system every further one fails: what is on the disk then is what a killed process leaves. */
const killed = vi.hoisted(() => ({
  after: Number.POSITIVE_INFINITY,
  calls: 0,
  underWay: new Set<Promise<unknown>>(),
}))

vi.mock('node:fs/promises', async original => {
  const actual = await original<Record<string, (...args: unknown[]) => Promise<unknown>>>()
  const guarded = Object.entries(actual).map(([name, call]) => [
    name,
    typeof call !== 'function'
      ? call
      : (...args: unknown[]) => {
          if (killed.calls++ >= killed.after) return Promise.reject(new Error('killed'))
          const work = Promise.resolve(call(...args))
          killed.underWay.add(work)
          return work.finally(() => killed.underWay.delete(work))
        },
  ])
  return Object.fromEntries(guarded) as Record<string, unknown>
})

/** What a killed process had told the file system is done all the same, but before anybody else looks. */
async function settled<T>(run: Promise<T>): Promise<T | 'killed'> {
  const outcome = await run.catch(() => 'killed' as const)
  await Promise.allSettled(killed.underWay)
  return outcome
}

let folder: string
let a: string
let b: string
let fresh: string

beforeEach(() => {
  folder = files.mkdtempSync(join(tmpdir(), 'holdfast-files-'))
  putOldSet()
})

function putOldSet(): void {
  for (const name of files.readdirSync(folder)) files.rmSync(join(folder, name))
  a = join(folder, 'a.conf')
  b = join(folder, 'b.conf')
  fresh = join(folder, 'fresh.conf')
  files.writeFileSync(a, Buffer.from([0x6f, 0x6c, 0x64, 0xff, 0x0a]))
  files.chmodSync(a, 0o640)
  files.writeFileSync(b, 'old b\n')
  files.chmodSync(b, 0o4755)
}

afterEach(() => {
  killed.after = Number.POSITIVE_INFINITY
  files.rmSync(folder, { recursive: true, force: true })
})

function steps(own: Partial<FileSetSteps> = {}): FileSetSteps {
  return { check: async () => {}, reload: async () => {}, modeOfNew: 0o600, ...own }
}

function newSet() {
  return [
    { output: a, text: 'new a\n' },
    { output: b, text: 'new b\n' },
    { output: fresh, text: 'new c\n' },
  ]
}

/** Everything that a reader of the folder can tell of it. */
function picture({ all = true } = {}): unknown {
  const names = files.readdirSync(folder).filter(name => all || !name.startsWith('.'))
  return names.map(name => {
    const path = join(folder, name)
    const { mode, uid, gid, ino, mtimeMs } = files.statSync(path)
    return { name, mode, uid, gid, ino, mtimeMs, bytes: files.readFileSync(path).toString('hex') }
  })
}

function texts(): readonly string[] {
  return [a, b, fresh].map(path => (files.existsSync(path) ? files.readFileSync(path, 'latin1') : 'none'))
}

const OLD = ['old\xff\n', 'old b\n', 'none']
const NEW = ['new a\n', 'new b\n', 'new c\n']

describe('a set of files', () => {
  it('is replaced, keeping owners and modes, and leaves nothing else behind', async () => {
    expect(await replaceFiles(newSet(), steps())).toBe('replaced')
    expect(texts()).toEqual(NEW)
    expect([a, b, fresh].map(path => files.statSync(path).mode & 0o7777)).toEqual([0o640, 0o4755, 0o600])
    expect(files.readdirSync(folder)).toEqual(['a.conf', 'b.conf', 'fresh.conf'])
  })

  it.skipIf(process.getuid?.() !== 0)('keeps the owner of a file that is not ours', async () => {
    files.chownSync(a, 1234, 2345)
    await replaceFiles([{ output: a, text: 'new' }], steps())
    expect(files.statSync(a)).toMatchObject({ uid: 1234, gid: 2345 })
  })

  it('is checked in files beside, which have the new texts, before any is touched', async () => {
    const seen: unknown[] = []
    await replaceFiles(
      newSet(),
      steps({
        check: async (_, staged) => {
          seen.push(files.readFileSync(staged, 'utf8'), texts())
        },
      }),
    )
    expect(seen).toEqual(['new a\n', OLD, 'new b\n', OLD, 'new c\n', OLD])
  })

  it('is untouched when a check fails, and is not reloaded', async () => {
    const before = picture()
    const reload = vi.fn<FileSetSteps['reload']>()
    const check = async ({ output }: { output: string }): Promise<void> => {
      if (output === b) throw new Error('b is wrong')
    }
    await expect(replaceFiles(newSet(), steps({ check, reload }))).rejects.toThrow('b is wrong')
    expect(picture()).toEqual(before)
    expect(reload).not.toHaveBeenCalled()
  })

  it('comes back byte for byte when the reload fails, and is reloaded again', async () => {
    const before = picture()
    const seen: unknown[] = []
    const reload = async (stage: string): Promise<void> => {
      seen.push(stage, texts())
      if (stage === 'new') throw new Error('port is taken')
    }
    await expect(replaceFiles(newSet(), steps({ reload }))).rejects.toThrow(
      'port is taken. The files are what they were, and were reloaded',
    )
    expect(picture()).toEqual(before)
    expect(seen).toEqual(['new', NEW, 'restored', OLD])
  })

  it('tells when the old files cannot be reloaded either', async () => {
    const before = picture()
    const reload = () => Promise.reject(new Error('no such unit'))
    await expect(replaceFiles(newSet(), steps({ reload }))).rejects.toThrow('failed as well: no such unit')
    expect(picture()).toEqual(before)
  })

  it('comes back when one of its files cannot be put in place', async () => {
    const before = picture()
    const check = async ({ output }: { output: string }): Promise<void> => {
      if (output === fresh) files.mkdirSync(join(fresh, 'in-the-way'), { recursive: true })
    }
    await expect(replaceFiles(newSet(), steps({ check }))).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
    files.rmSync(fresh, { recursive: true, force: true })
    expect(picture()).toEqual(before)
  })

  it('is left alone, and not reloaded, when it says the same already', async () => {
    await replaceFiles(newSet(), steps())
    const before = picture()
    const reload = vi.fn<FileSetSteps['reload']>()
    expect(await replaceFiles(newSet(), steps({ reload }))).toBe('unchanged')
    expect(picture()).toEqual(before)
    expect(reload).not.toHaveBeenCalled()
  })

  it('writes only the files of it that change', async () => {
    const before = files.statSync(a)
    await replaceFiles(
      [
        { output: a, text: 'old\xff\n' },
        { output: b, text: 'new b\n' },
      ],
      steps(),
    )
    // UTF-8 of the text is not the bytes that were there.
    expect(files.readFileSync(a, 'utf8')).toBe('old\xff\n')
    const second = files.statSync(a)
    expect(second.ino).not.toBe(before.ino)
    await replaceFiles(
      [
        { output: a, text: 'old\xff\n' },
        { output: b, text: 'newer b\n' },
      ],
      steps(),
    )
    expect(files.statSync(a).ino).toBe(second.ino)
  })

  it('is written through symbolic links, which stay', async () => {
    const linked = join(folder, 'linked.conf')
    files.symlinkSync(a, linked)
    await replaceFiles([{ output: linked, text: 'new' }], steps())
    expect(files.readFileSync(a, 'utf8')).toBe('new')
    expect(files.lstatSync(linked).isSymbolicLink()).toBe(true)
  })

  it('refuses a folder where a file should be', async () => {
    await expect(replaceFiles([{ output: folder, text: '' }], steps())).rejects.toThrow('to be a file')
  })

  it('is all old or all new once a run that was killed at any point is made good', async () => {
    const ends = new Set<string>()
    for (let point = 0; ; point++) {
      putOldSet()
      const before = picture()
      Object.assign(killed, { after: point, calls: 0 })
      const outcome = await settled(replaceFiles(newSet(), steps()))
      killed.after = Number.POSITIVE_INFINITY
      await restoreUnfinished([a, b, fresh])
      const isOld = texts().join() === OLD.join()
      // What is left beside them is overwritten by the next run.
      expect(isOld ? picture({ all: false }) : texts()).toEqual(isOld ? before : NEW)
      ends.add(isOld ? 'old' : 'new')
      if (outcome === 'replaced') break
    }
    // Else the points were not where it matters.
    expect([...ends]).toEqual(['old', 'new'])
  })

  it('is made good also when that is killed in turn', async () => {
    const reload = () => Promise.reject(new Error('no'))
    const before = picture()
    for (let point = 0; ; point++) {
      // Killed where the reload is about to run: all files are new, and none is confirmed.
      const broken = vi.fn<() => Promise<never>>(reload)
      const dies = async (): Promise<void> => {
        Object.assign(killed, { after: 0, calls: 0 })
        await broken()
      }
      await settled(replaceFiles(newSet(), steps({ reload: dies })))
      expect(broken).toHaveBeenCalled()
      Object.assign(killed, { after: point, calls: 0 })
      const outcome = await settled(restoreUnfinished([a, b, fresh]))
      killed.after = Number.POSITIVE_INFINITY
      await restoreUnfinished([a, b, fresh])
      expect(picture()).toEqual(before)
      if (outcome === true) break
    }
  })

  it('goes by no journal that speaks of other files', async () => {
    const journal = { files: [{ path: b, existed: false }] }
    files.writeFileSync(join(folder, '.a.conf.holdfast-undo'), JSON.stringify(journal))
    await restoreUnfinished([a])
    expect(files.readFileSync(b, 'utf8')).toBe('old b\n')
  })
})
