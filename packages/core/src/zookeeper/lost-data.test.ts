// What becomes of clients when the store loses what they have seen. Every test has a server of its own to empty.
import { cpSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FencingToken } from '../fencing/token.ts'
import { acquireLease } from '../lease/acquire.ts'
import { watchDirectory } from '../records/watch.ts'
import type { DirectoryView } from '../records/watch.ts'
import type { ZooKeeperBackend } from './index.ts'
import { zookeeperBackend, zookeeperFence } from './index.ts'

const SESSION_MS = 4_000
/** Two session timeouts, the delay between attempts, and a machine that is busy. */
const BOUND_MS = 2 * SESSION_MS + 60_000

async function ownServer(): Promise<ZooKeeperServer> {
  const server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
  onTestFinished(() => server.stop())
  return server
}

async function open({ connectString }: ZooKeeperServer): Promise<ZooKeeperBackend> {
  const backend = zookeeperBackend({ connect: connectString, sessionTimeoutMs: SESSION_MS, operationTimeoutMs: 10_000 })
  onTestFinished(() => backend.close())
  await backend.ready({ timeoutMs: BOUND_MS })
  return backend
}

async function publish({ records }: ZooKeeperBackend, text: string): Promise<void> {
  const value = Buffer.from(text)
  const changes = [{ kind: 'put', id: 'a', value }] as const
  expect(await records.commit({ directory: 'd', commitId: records.newId(), changes })).toMatchObject({
    kind: 'committed',
  })
}

interface Watched {
  until(isSo: (view: DirectoryView) => boolean): Promise<DirectoryView>
}

async function watch(backend: ZooKeeperBackend, text: string): Promise<Watched> {
  const watching = watchDirectory(backend, 'd')
  onTestFinished(() => watching.close())
  const until = async (isSo: (view: DirectoryView) => boolean): Promise<DirectoryView> => {
    await vi.waitUntil(() => isSo(watching.view.current), { timeout: BOUND_MS, interval: 10 })
    return watching.view.current
  }
  await until(view => textIn(view) === text)
  return { until }
}

function textIn(view: DirectoryView): string | undefined {
  return view.kind === 'present' ? Buffer.from(view.records.get('a')?.value ?? []).toString() : undefined
}

describe('A server that was emptied under its clients', () => {
  it('costs every lease, and grants new ones, with tokens and fences that start anew', async () => {
    const server = await ownServer()
    const backend = await open(server)
    // So that tokens go back.
    for (let round = 0; round < 50; round++) await publish(backend, `${round}`)
    const fence = zookeeperFence(backend)
    const held = await acquireLease(backend, 'a', {})
    const before = new FencingToken(held.token.value)
    await fence.raise(held)
    await server.restart({ keepData: false })
    await vi.waitUntil(() => held.signal.aborted, { timeout: BOUND_MS, interval: 10 })
    await backend.ready({ timeoutMs: BOUND_MS })
    const lease = await acquireLease(backend, 'a', {})
    expect(lease.token < before).toBe(true)
    await fence.raise(lease)
    expect(await lease.release()).toBe('released')
  })

  it('is told to those who watch records: `missing`, and `replaced` after the next commit', async () => {
    const server = await ownServer()
    const [backend, other] = [await open(server), await open(server)]
    for (const text of ['1', '2', '3']) await publish(backend, text)
    const watched = await watch(other, '3')
    await server.restart({ keepData: false })
    expect(await watched.until(view => view.kind === 'missing')).toMatchObject({ last: { number: 3 } })
    await backend.ready({ timeoutMs: BOUND_MS })
    await publish(backend, 'new')
    expect(await watched.until(view => textIn(view) === 'new')).toMatchObject({ succession: 'replaced' })
  })
})

describe('A server that was restored from an older copy of its data', () => {
  it('is told to those who watch records: `regressed`', async () => {
    const server = await ownServer()
    const [backend, other] = [await open(server), await open(server)]
    await publish(backend, '1')
    const copy = await mkdtemp(join(tmpdir(), 'holdfast-zookeeper-copy-'))
    onTestFinished(() => rm(copy, { recursive: true, force: true }))
    await server.kill()
    cpSync(server.dataDir, copy, { recursive: true })
    await server.restart()
    await backend.ready({ timeoutMs: BOUND_MS })
    for (const text of ['2', '3', '4']) await publish(backend, text)
    const watched = await watch(other, '4')
    await server.kill()
    rmSync(server.dataDir, { recursive: true })
    cpSync(copy, server.dataDir, { recursive: true })
    await server.restart()
    const view = await watched.until(current => textIn(current) === '1')
    expect(view).toMatchObject({ succession: 'regressed', revision: { number: 1 } })
    await backend.ready({ timeoutMs: BOUND_MS })
    await publish(backend, '5')
    await watched.until(current => textIn(current) === '5')
  })
})
