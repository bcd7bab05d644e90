import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '@holdfast/core'
import { seededRandom, systemClock } from '@holdfast/core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { contentHash } from '../release/codec.ts'
import type { KnownGood } from './last-known-good.ts'
import { LastKnownGood } from './last-known-good.ts'
import { scope } from './stage.fixture.ts'

let folder: string
const problems: unknown[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-config-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const inAnHour: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + 3_600_000 }
const keptIn = (place: string, clock: Clock = systemClock): LastKnownGood =>
  new LastKnownGood({ folder: place, scope, clock, failed: error => problems.push(error), written: () => {} })

function good(number: number, text: string = ''): KnownGood {
  const content = { namespaces: { checkout: { number, text } }, options: {} }
  const release = {
    number,
    hash: contentHash(content),
    parent: undefined,
    kind: 'publish' as const,
    rolledBackTo: undefined,
    author: 'tests',
    message: '',
    requestId: 'r',
    publishedAtMs: 0,
    signature: undefined,
  }
  return { release, content, revision: { history: 'h', number, commit: 'c' }, headNumber: number }
}

// As a program of its own: it writes one release after the other, until it is killed.
const WRITER = `
  const { LastKnownGood } = await import(process.argv[1])
  const { systemClock } = await import('@holdfast/core')
  const template = JSON.parse(process.argv[3])
  const { contentHash } = await import(process.argv[2])
  const failed = error => { console.error(error); process.exit(1) }
  const file = new LastKnownGood({ folder: process.argv[4], scope: ${JSON.stringify(scope)}, clock: systemClock, failed, written: () => {} })
  for (let number = Number(process.argv[5]); ; number += 1) {
    const content = { namespaces: { checkout: { number, text: 'x'.repeat(20_000) } }, options: {} }
    const release = { ...template.release, number, hash: contentHash(content) }
    file.save({ release, content, revision: { ...template.revision, number }, headNumber: number })
    await file.settled()
    process.stdout.write('.')
  }
`

async function killedWhileWriting(place: string, from: number, afterMs: number): Promise<void> {
  const modules = ['last-known-good', '../release/codec'].map(
    name => new URL(`../../dist/client/${name}.js`, import.meta.url).href,
  )
  const args = ['--input-type=module', '-e', WRITER, ...modules, JSON.stringify(good(0)), place, String(from)]
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), ended])
  await new Promise(resolve => void setTimeout(resolve, afterMs))
  child.kill('SIGKILL')
  const [code, signal] = (await ended) as [number | null, string | null]
  expect([code, signal]).toEqual([null, 'SIGKILL'])
}

/** Kills a writer so many times; what was wrong with the files after a kill, and how many kills came in the middle of a write. */
async function wrongAfter(kills: number, seed: number): Promise<{ wrong: string[]; cut: number; left: string[] }> {
  const place = join(folder, String(seed))
  const random = seededRandom(seed)
  const wrong: string[] = []
  let last = 0
  for (let kill = 0; kill < kills; kill += 1) {
    await killedWhileWriting(place, last + 1, random.next() * 12)
    const { found, problems: broken } = await keptIn(place).load()
    const [newest = 0, previous = newest] = found.map(({ release }) => release.number)
    wrong.push(...broken)
    // At least one was written since the last kill: the file is that one, or a later one, and the other the one before it.
    if (newest <= last) wrong.push(`${newest} after ${last}`)
    if (previous < newest - 1) wrong.push(`${previous} before ${newest}`)
    last = newest
  }
  const cut = (await readdir(place)).filter(name => name.endsWith('.tmp')).length
  await keptIn(place, inAnHour).load()
  return { wrong, cut, left: await readdir(place) }
}

it('The last-known-good file is the old or the new one, whenever its writer is killed: 200 times', async () => {
  const chains = await Promise.all([wrongAfter(100, 1), wrongAfter(100, 2)])
  expect(chains.flatMap(({ wrong }) => wrong)).toEqual([])
  // If no kill had come in the middle of a write, nothing would have been tried.
  expect(Math.min(...chains.map(({ cut }) => cut))).toBeGreaterThan(5)
  const files = ['shop.test.json', 'shop.test.json.previous']
  expect(chains.map(({ left }) => left.sort())).toEqual([files, files])
}, 400_000)

it('A writer that has more to write than time writes the newest', async () => {
  const file = keptIn(folder)
  for (let number = 1; number <= 50; number += 1) file.save(good(number))
  await file.settled()
  const { found } = await keptIn(folder).load()
  expect(found.map(({ release }) => release.number)).toEqual([50, 1])
})

it('A release that starts died on does not take the place of the one before', async () => {
  const file = keptIn(folder)
  for (const number of [1, 2]) {
    file.save(good(number))
    await file.settled()
  }
  file.markUnfit(good(2).release)
  file.save(good(3))
  await file.settled()
  expect((await file.load()).found.map(({ release }) => release.number)).toEqual([3, 1])
})

it('A pipe in the place of a file is told as unusable, and not waited on for ever', async () => {
  execFileSync('mkfifo', [join(folder, 'shop.test.json')])
  await mkdir(join(folder, 'shop.test.json.previous'))
  const { found, problems: told } = await keptIn(folder).load()
  expect(found).toEqual([])
  expect(told).toEqual([
    `The file ${join(folder, 'shop.test.json')} is not used: it is not a regular file.`,
    `The file ${join(folder, 'shop.test.json.previous')} is not used: it is not a regular file.`,
  ])
  const file = keptIn(folder)
  file.save(good(1))
  await file.settled()
  expect((await file.load()).found.map(({ release }) => release.number)).toEqual([1])
})

it('Two scopes never share a file, whatever their names are', async () => {
  const ofNames = async (app: string, env: string): Promise<void> => {
    const file = new LastKnownGood({
      folder,
      scope: { app, env },
      clock: systemClock,
      failed: error => problems.push(error),
      written: () => {},
    })
    file.save(good(1))
    await file.settled()
  }
  await ofNames('a.b', 'c')
  await ofNames('a', 'b.c')
  await ofNames('..', '..')
  expect(await readdir(folder)).toHaveLength(3)
})

it('What a process that lives is writing is left alone', async () => {
  const name = (pid: number): string => `shop.test.json.${pid}.${'x'.repeat(22)}.tmp`
  await writeFile(join(folder, name(process.ppid)), '')
  await writeFile(join(folder, name(2 ** 30)), '')
  await keptIn(folder, inAnHour).load()
  expect(await readdir(folder)).toEqual([name(process.ppid)])
  expect(await readFile(join(folder, name(process.ppid)), 'utf8')).toBe('')
})
