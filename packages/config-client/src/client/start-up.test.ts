import { execFileSync } from 'node:child_process'
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from '../index.ts'
import { Stage, checkout, places, search } from './stage.fixture.ts'

let stage: Stage
let snapshotDir: string

beforeEach(async () => {
  stage = new Stage()
  snapshotDir = await stage.folder()
})

afterEach(async () => {
  await stage.end()
})

const file = () => join(snapshotDir, 'shop.test.json')

/** A service that ran, saw the releases, and ended in good order. */
async function ranOn(...timeouts: readonly number[]): Promise<void> {
  for (const timeoutMs of timeouts) {
    await stage.store.publish({ checkout: { timeoutMs } })
    await (await stage.open({ snapshotDir })).close()
  }
}

describe('A start without the store', () => {
  it('uses the last-known-good file once the time is up, and the store as soon as it is there', async () => {
    await ranOn(1)
    stage.link.isDown = true
    const config = await stage.openIn(5_000, { snapshotDir })
    expect(config.status()).toMatchObject({
      state: 'unreachable',
      source: 'last-known-good',
      release: { number: 1 },
      detail: 'The store does not answer: The store is down. Release 1 of the last-known-good file is in use.',
    })
    expect(config.get(checkout).timeoutMs).toBe(1)
    expect(config.origin(checkout, 'timeoutMs')).toMatchObject({ layer: 'application', source: 'last-known-good' })
    const heard: unknown[] = []
    config.live(checkout).subscribe(next => heard.push(next))
    stage.link.isDown = false
    await stage.clock.advance(30_000)
    expect(config.status()).toMatchObject({ state: 'current', source: 'store' })
    expect(heard).toEqual([])
  })

  it('waits no longer than it was told to', async () => {
    await ranOn(1)
    stage.link.isDown = true
    const config = await stage.openIn(200, { snapshotDir, startup: { timeoutMs: 200 } })
    expect(config.status().source).toBe('last-known-good')
  })

  it('fails with one sentence when there is no file', async () => {
    stage.link.isDown = true
    await expect(stage.openIn(5_000, { snapshotDir })).rejects.toMatchObject({
      code: 'HF_NO_CONFIG',
      message: 'There is no configuration of shop in test to start with. The store does not answer: The store is down.',
      cause: { code: 'HF_UNAVAILABLE' },
    })
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('fails at once where nothing may stand in for the store', async () => {
    await ranOn(1)
    stage.link.isDown = true
    const opening = stage.openIn(5_000, { snapshotDir, startup: { fallback: [] } })
    await expect(opening).rejects.toMatchObject({ code: 'HF_NO_CONFIG' })
  })

  it('uses the defaults of the schemas where it may, and nothing else is there', async () => {
    stage.link.isDown = true
    const config = await stage.openIn(5_000, { snapshotDir, startup: { fallback: ['last-known-good', 'defaults'] } })
    expect(config.get(checkout)).toEqual({ timeoutMs: 500, retries: 3 })
    expect(config.status()).toMatchObject({ source: 'defaults', release: undefined })
    expect(config.status().detail).toContain('The defaults of the schemas are in use.')
  })

  it('ends when its signal aborts', async () => {
    stage.link.isDown = true
    const abort = new AbortController()
    const opening = stage.open({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
    expect(stage.clock.pendingTimers).toBe(0)
  })
})

describe('A start with a store that has nothing to start with', () => {
  it('does not wait where the store is empty', async () => {
    await expect(stage.open()).rejects.toMatchObject({
      code: 'HF_NO_CONFIG',
      message:
        'There is no configuration of shop in test to start with. The store has nothing for this application and environment.',
    })
  })

  it('goes on from the defaults, and applies the first release', async () => {
    const config = await stage.open({ startup: { fallback: ['defaults'] } })
    expect(config.status()).toMatchObject({ state: 'store-missing', source: 'defaults' })
    await stage.store.publish({ checkout: { timeoutMs: 1 } })
    expect(await config.refresh()).toMatchObject({ state: 'current', source: 'store' })
  })

  it('waits for a content that is not there yet, as long as for an answer', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 }, notes: { text: 'x'.repeat(40_000) } })
    stage.world.directories.lose(places.contents)
    const config = await stage.openIn(5_000, { snapshotDir })
    expect(config.status()).toMatchObject({ state: 'behind', source: 'last-known-good', target: { number: 2 } })
  })

  it('takes the file when the release is refused, and says so', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: -1 } })
    const config = await stage.open({ snapshotDir })
    expect(config.status()).toMatchObject({ state: 'refused', source: 'last-known-good', release: { number: 1 } })
  })

  it('takes the file when the store went back meanwhile, and holds it off', async () => {
    await ranOn(1)
    const restore = stage.world.directories.backUp(places.releases)
    await ranOn(2)
    restore()
    const config = await stage.open({ snapshotDir })
    expect(config.status()).toMatchObject({ state: 'regressed', source: 'last-known-good', release: { number: 2 } })
    await stage.clock.advance(60_000)
    expect(config.status()).toMatchObject({ state: 'current', source: 'store', release: { number: 1 } })
  })

  it('follows a store that went back at once where the file cannot be used', async () => {
    const restore = stage.world.directories.backUp(places.releases)
    await ranOn(1, 2)
    restore()
    await stage.store.publish({ checkout: { timeoutMs: 7 }, server: { port: 1 } }, 1)
    const server = defineNamespace('server', { schema: z.object({ port: z.number() }) })
    const config = await stage.open({ snapshotDir, namespaces: [checkout, server] })
    expect(config.status()).toMatchObject({ state: 'current', source: 'store', release: { number: 1 } })
  })
})

describe('The last-known-good file', () => {
  it('is readable by its owner alone, and leaves nothing beside it', async () => {
    await ranOn(1, 2)
    expect((await readdir(snapshotDir)).sort()).toEqual([
      'shop.test.json',
      'shop.test.json.previous',
      'shop.test.starts.json',
    ])
    expect((await stat(file())).mode & 0o777).toBe(0o600)
  })

  it.each([
    ['torn', (text: string) => text.slice(0, -10), 'it is torn: its checksum is wrong.'],
    ['altered', (text: string) => text.replace('"number":2', '"number":3'), 'it is torn: its checksum is wrong.'],
    ['empty', () => '', 'it is torn'],
    ['of another format', () => '{"format":"x"}\n{}', 'it has another format.'],
  ])('that is %s is told, and the one before is used', async (_, spoil, words) => {
    await ranOn(1, 2)
    await writeFile(file(), spoil(await readFile(file(), 'utf8')))
    stage.link.isDown = true
    const config = await stage.openIn(5_000, { snapshotDir })
    expect(config.get(checkout).timeoutMs).toBe(1)
    expect(config.status().detail).toContain(words)
    expect(config.status().detail).toContain('Release 1 of the last-known-good file is in use.')
  })

  it('of another scope is told, and not used', async () => {
    await ranOn(1)
    await writeFile(join(snapshotDir, 'other.test.json'), await readFile(file(), 'utf8'))
    stage.link.isDown = true
    const opening = stage.openIn(5_000, { snapshotDir, app: 'other' })
    await expect(opening).rejects.toThrow(/other\.test\.json is not used: it is of shop\/test\./)
  })

  it('does not give its place to a second write of the same release', async () => {
    await ranOn(1, 2)
    await Promise.all([1, 2, 3].map(async () => (await stage.open({ snapshotDir })).close()))
    expect(await readFile(`${file()}.previous`, 'utf8')).toContain('\\"number\\":1')
  })

  it('keeps encrypted values encrypted', async () => {
    const { encryptSecrets } = await import('../release/encryption.ts')
    const vault = defineNamespace('vault', { schema: z.object({ token: z.string() }), secrets: ['token'] })
    const secretKeys = { k1: new Uint8Array(32).fill(7) }
    const about = { scope: { app: 'shop', env: 'test' }, namespace: 'vault', definition: vault.definition }
    const raw = encryptSecrets({ token: 'hush-hush' }, about, { keys: secretKeys, keyId: 'k1' })
    await stage.store.publish({ vault: raw })
    const config = await stage.open({ snapshotDir, namespaces: [vault], secretKeys })
    expect(config.get(vault).token.reveal()).toBe('hush-hush')
    await config.close()
    expect(await readFile(file(), 'utf8')).not.toContain('hush-hush')
    stage.link.isDown = true
    const again = await stage.openIn(5_000, { snapshotDir, namespaces: [vault], secretKeys })
    expect(again.get(vault).token.reveal()).toBe('hush-hush')
  })

  it('that cannot be written breaks nothing, and is told', async () => {
    await writeFile(join(snapshotDir, 'blocked'), '')
    await stage.store.publish({ checkout: { timeoutMs: 1 } })
    const config = await stage.open({ snapshotDir: join(snapshotDir, 'blocked'), crashLoop: false })
    for (let turn = 0; turn < 50 && config.status().lastError === undefined; turn += 1) {
      await new Promise(resolve => void setTimeout(resolve, 2))
    }
    const { state, lastError } = config.status()
    expect([state, String(lastError)]).toEqual(['current', expect.stringMatching(/ENOTDIR|EEXIST/)])
  })

  it('that could not be written is no trouble any more once a later release was', async () => {
    await writeFile(join(snapshotDir, 'blocked'), '')
    await stage.store.publish({ checkout: { timeoutMs: 1 } })
    const config = await stage.open({ snapshotDir: join(snapshotDir, 'blocked') })
    await expect.poll(() => config.status().lastError).toBeDefined()
    await rm(join(snapshotDir, 'blocked'))
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await config.refresh()
    await expect.poll(() => config.status().lastError).toBeUndefined()
  })

  it('of starts that is a pipe does not keep a start waiting', async () => {
    execFileSync('mkfifo', [join(snapshotDir, 'shop.test.starts.json')])
    await stage.store.publish({ checkout: { timeoutMs: 1 } })
    expect((await stage.open({ snapshotDir })).get(checkout).timeoutMs).toBe(1)
  })
})

describe('The crash-loop brake', () => {
  /** Above what a system gives. */
  const NO_PID = 1_073_741_824

  /** As if those that were started so far had been of another process. */
  async function areDead(process: Readonly<Record<string, unknown>> = { pid: NO_PID }): Promise<void> {
    const path = join(snapshotDir, 'shop.test.starts.json')
    const starts = JSON.parse(await readFile(path, 'utf8')) as readonly object[]
    await writeFile(path, JSON.stringify(starts.map(start => ({ ...start, ...process }))))
  }

  /** Starts that die: nobody closes them. */
  async function die(times: number, process?: Readonly<Record<string, unknown>>): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      await stage.open({ snapshotDir })
      await stage.clock.advance(100)
      await areDead(process)
    }
  }

  it('does not count starts that live: threads of one process, and other machines that share the folder', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    for (let time = 0; time < 5; time += 1) await stage.open({ snapshotDir })
    await die(5, { host: 'another' })
    expect((await stage.open({ snapshotDir })).get(checkout).timeoutMs).toBe(2)
  })

  it('counts those that had the same process id before, as in a container', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(3, { processAtMs: 0 })
    expect((await stage.open({ snapshotDir })).get(checkout).timeoutMs).toBe(1)
  })

  it('boots on the release before, after three starts that died on one', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(2)
    const third = await stage.open({ snapshotDir })
    expect(third.get(checkout).timeoutMs).toBe(2)
    await areDead()
    const config = await stage.open({ snapshotDir })
    expect(config.status()).toMatchObject({
      state: 'refused',
      source: 'last-known-good',
      release: { number: 1 },
      refusal: { release: { number: 2 }, stage: 'commit' },
    })
    expect(config.status().detail).toContain('3 starts or more died on it within 60000 ms')
    await stage.clock.advance(3_600_000)
    expect(config.get(checkout).timeoutMs).toBe(1)
    await stage.store.publish({ checkout: { timeoutMs: 3 } })
    expect(await config.refresh()).toMatchObject({ state: 'current', release: { number: 3 } })
  })

  it('tries it all the same when it is forced to', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(3)
    const config = await stage.open({ snapshotDir })
    expect(await config.force()).toMatchObject({ state: 'current', release: { number: 2 } })
  })

  it('boots on it all the same when there is nothing else', async () => {
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(3)
    const config = await stage.open({ snapshotDir })
    expect(config.status()).toMatchObject({ state: 'current', release: { number: 1 } })
  })

  it('boots on the defaults where it may', async () => {
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(3)
    const config = await stage.open({ snapshotDir, startup: { fallback: ['last-known-good', 'defaults'] } })
    expect(config.status()).toMatchObject({ state: 'refused', source: 'defaults' })
  })

  it('does not count a start that lived for long enough, nor those before it', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    await die(2)
    await stage.open({ snapshotDir, crashLoop: { withinMs: 10_000 } })
    await stage.clock.advance(10_000)
    await settled(async () => (await readFile(join(snapshotDir, 'shop.test.starts.json'), 'utf8')) === '[]')
    await die(1)
    expect((await stage.open({ snapshotDir })).get(checkout).timeoutMs).toBe(2)
  })

  it('does not count starts that were closed in good order', async () => {
    await ranOn(1, 2)
    for (let time = 0; time < 5; time += 1) await (await stage.open({ snapshotDir })).close()
    expect((await stage.open({ snapshotDir })).get(checkout).timeoutMs).toBe(2)
  })

  it('is off where it is told to be', async () => {
    await ranOn(1)
    await stage.store.publish({ checkout: { timeoutMs: 2 } })
    for (let time = 0; time < 5; time += 1) await stage.open({ snapshotDir, crashLoop: false })
    expect((await readdir(snapshotDir)).filter(name => name.includes('starts'))).toEqual(['shop.test.starts.json'])
    expect((await stage.open({ snapshotDir, crashLoop: false })).get(checkout).timeoutMs).toBe(2)
  })
})

async function settled(isSettled: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    if (await isSettled()) return
    await new Promise(resolve => void setTimeout(resolve, 5))
  }
  expect.unreachable('It did not settle.')
}

describe('What openConfig is given is checked at once:', () => {
  const bad: readonly [string, object, string][] = [
    ['an unknown option', { retries: 3 }, 'Unknown option `retries` of openConfig'],
    ['no backend', { backend: {} }, 'Expected `backend` to be a backend, got an object.'],
    ['no namespaces', { namespaces: [] }, 'Expected `namespaces` to be one namespace or more'],
    [
      'a namespace twice',
      { namespaces: [search, search] },
      'Expected the names of `namespaces` to differ, got "search" twice.',
    ],
    [
      'an override of another namespace',
      { overrides: [{ namespace: 'x', value: {} }] },
      'Expected `overrides` to have at most one',
    ],
    [
      'a fallback that is none',
      { startup: { fallback: ['cache'] } },
      `Expected \`startup.fallback\` to be a list of 'last-known-good' and 'defaults', got "cache" in it.`,
    ],
    ['an age that is always reached', { staleAfterMs: 30_000 }, 'Expected `staleAfterMs` to be an integer from 30001'],
    [
      'no room for applies',
      { maxConcurrentApplies: 0 },
      'Expected `maxConcurrentApplies` to be an integer from 1 to 1000, got 0.',
    ],
    [
      'a label that is no text',
      { instance: { labels: { zone: 1 } } },
      'Expected `instance.labels.zone` to be a string, got 1.',
    ],
    ['an app with a colon', { app: 'a:b' }, 'neither a colon nor a slash'],
    ['no path', { snapshotDir: '' }, 'Expected `snapshotDir` to be a path, got "".'],
    [
      'a count of starts that is none',
      { crashLoop: { starts: 0 } },
      'Expected `crashLoop.starts` to be an integer from 1 to 100, got 0.',
    ],
  ]

  it.each(bad)('%s', async (_, options, words) => {
    await expect(stage.open(options)).rejects.toThrow(words)
  })
})
