import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer, PeerKind } from '@holdfast/scripts/peers'
import { startCurator, startKazoo } from '@holdfast/scripts/peers'
import type { SharedZooKeeper } from '@holdfast/scripts/servers'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { BarrierStore } from '../ports/barriers.ts'
import type { LeaseMode } from '../ports/leases.ts'
import type { ContenderNaming } from './naming.ts'
import type { ZooKeeperBackend } from './index.ts'
import { zookeeperBackend } from './index.ts'

const ROUNDS = 200
const SESSION_MS = 4_000

/** Who contends: the kinds of the peer, one process each, and ours, one backend each. */
interface Crowd {
  readonly path: string
  readonly peers: readonly PeerKind[]
  readonly ours: readonly PeerKind[]
}

let server: SharedZooKeeper
let room: string

beforeAll(async () => {
  server = await sharedZooKeeper()
  room = mkdtempSync(join(tmpdir(), 'holdfast-room-'))
})
afterAll(async () => {
  rmSync(room, { recursive: true, force: true })
  await server.stop()
})

function modeOf(kind: PeerKind): LeaseMode | undefined {
  if (kind === 'read' || kind === 'write') return { kind }
  return kind.startsWith('permit:') ? { kind: 'permit', limit: Number(kind.slice(7)) } : undefined
}

/** As the peers: everybody inside has a file, and sees whether somebody else's must not be there. */
async function visit(kind: PeerKind): Promise<boolean> {
  const own = join(room, `${kind.split(':', 1)[0]}-${randomUUID()}`)
  writeFileSync(own, '', { flag: 'wx' })
  try {
    await sleep(1)
    const inside = readdirSync(room)
    if (kind.startsWith('permit:')) return inside.length <= Number(kind.slice(7))
    if (kind === 'read') return inside.every(name => name.startsWith('read-'))
    return inside.length === 1
  } finally {
    rmSync(own)
  }
}

async function rounds(backend: Backend, kind: PeerKind, resource: string): Promise<number> {
  let violations = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    await using lease = await acquireLease(backend, resource, { waitMs: 60_000 }, modeOf(kind))
    if (!(await visit(kind))) violations += 1
    lease.assertHeld()
  }
  return violations
}

/** A process of ours that holds a resource until it is killed. */
async function holder(naming: ContenderNaming, root: string, resource: string): Promise<ChildProcess> {
  const code = `
    import { acquireLease } from '@holdfast/core'
    import { zookeeperBackend } from '@holdfast/core/zookeeper'
    const options = { connect: process.env.CONNECT, root: '${root}', naming: '${naming}', sessionTimeoutMs: ${SESSION_MS} }
    await acquireLease(zookeeperBackend(options), '${resource}', {})
    console.log('held')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: import.meta.dirname,
    env: { ...process.env, CONNECT: server.connectString },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

describe.each([
  { name: 'Curator', naming: 'curator', start: startCurator },
  { name: 'kazoo', naming: 'kazoo', start: startKazoo },
] as const)('$name and Holdfast on one path', ({ naming, start }) => {
  const root = `/hf-interop-${randomUUID()}`

  async function startPeer(): Promise<Peer> {
    const peer = await start({ connectString: server.connectString, sessionTimeoutMs: SESSION_MS })
    onTestFinished(() => peer.stop())
    return peer
  }

  function openBackend(): ZooKeeperBackend {
    const backend = zookeeperBackend({ connect: server.connectString, root, naming, sessionTimeoutMs: SESSION_MS })
    onTestFinished(() => backend.close())
    return backend
  }

  function openBarriers(): BarrierStore {
    const { barriers } = openBackend()
    if (barriers === undefined) throw new Error('ZooKeeper has barriers of its own.')
    return barriers
  }

  /** All at once, so many rounds each. Says how often somebody was met inside who must not be there. */
  async function contend({ path, peers, ours }: Crowd): Promise<readonly number[]> {
    const processes = await Promise.all(peers.map(() => startPeer()))
    return await Promise.all([
      ...peers.map((kind, at) => (processes[at] as Peer).rounds(kind, `${root}/${path}`, ROUNDS, room)),
      ...ours.map(kind => rounds(openBackend(), kind, path)),
    ])
  }

  it.each([1, 2, 3])('hold a mutex one at a time, and nobody is stuck (run %i)', async run => {
    const path = `mutex-${run}`
    expect(await contend({ path, peers: ['mutex'], ours: ['mutex', 'mutex'] })).toEqual([0, 0, 0])
  })

  // A reader of kazoo 2.8 waits for every writer, also for those behind it, who wait for it: two of kazoo's own come to a
  // standstill that way. So its readers meet no writers here but one after the other, below.
  const peerReads = naming === 'curator'
  it('hold a read-write lock as it says', async () => {
    const peers = peerReads ? (['read', 'write'] as const) : (['write'] as const)
    const counts = await contend({ path: 'read-write', peers, ours: ['read', 'write', 'read'] })
    expect(counts.every(count => count === 0)).toBe(true)
  })

  it('hold at most as many permits as there are', async () => {
    const path = 'permits'
    expect(await contend({ path, peers: ['permit:2', 'permit:2'], ours: ['permit:2', 'permit:2'] })).toEqual([
      0, 0, 0, 0,
    ])
  })

  it.each([
    ['read', 'write'],
    ['write', 'read'],
    ['write', 'write'],
  ] as const)('exclude each other: a %s of the peer, and a %s of ours', async (theirs, own) => {
    const [peer, backend] = [await startPeer(), openBackend()]
    const [path, mode] = [`exclude-${theirs}-${own}`, modeOf(own)]
    const held = await peer.hold(theirs, `${root}/${path}`, 5_000)
    const waiting = acquireLease(backend, path, { waitMs: 120_000 }, mode)
    await expect(acquireLease(backend, path, { waitMs: 1_000 }, mode)).rejects.toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
    })
    await held?.free()
    const lease = await waiting
    expect(await peer.hold(theirs, `${root}/${path}`, 100)).toBeUndefined()
    await lease.release()
    expect(await peer.hold(theirs, `${root}/${path}`, 5_000)).toBeDefined()
  })

  it('let readers of both in together', async () => {
    const [peer, backend] = [await startPeer(), openBackend()]
    const held = await peer.hold('read', `${root}/readers`, 5_000)
    await using lease = await acquireLease(backend, 'readers', { waitMs: 120_000 }, { kind: 'read' })
    expect([held, await peer.hold('read', `${root}/readers`, 5_000)]).not.toContain(undefined)
    lease.assertHeld()
  })

  it('lead one after the other: the election of theirs is a mutex', async () => {
    const [peer, backend] = [await startPeer(), openBackend()]
    const leads = await peer.hold('leader', `${root}/leader`, 5_000)
    expect((await backend.leases.inspect('leader')).holder?.meta).toEqual({ data: naming })
    const waiting = acquireLease(backend, 'leader', { waitMs: 120_000 })
    await leads?.free()
    await using lease = await waiting
    lease.assertHeld()
  })

  it('wait at one barrier, whoever shuts and opens it', async () => {
    const [peer, barriers] = [await startPeer(), openBarriers()]
    await peer.barrier('set', `${root}/theirs`)
    const passing = barriers.untilOpen('theirs')
    expect(await barriers.isShut('theirs')).toBe(true)
    await peer.barrier('remove', `${root}/theirs`)
    await passing
    await barriers.shut('ours')
    const waiting = peer.barrier('wait', `${root}/ours`).then(() => 'passed')
    expect(await Promise.race([waiting, sleep(200)])).toBeUndefined()
    await barriers.open('ours')
    expect(await waiting).toBe('passed')
  })

  it('enter and leave a double barrier together', async () => {
    const [peer, barriers] = [await startPeer(), openBarriers()]
    const entering = peer.enter(`${root}/double`, 3)
    const ours = [1, 2].map(() => barriers.enter({ barrier: 'double', parties: 3, meta: '{}' }))
    const members = await Promise.all(ours)
    const leave = await entering
    const leaving = Promise.all(members.map(member => member.leave())).then(() => 'left')
    expect(await Promise.race([leaving, sleep(200)])).toBeUndefined()
    await leave()
    expect(await leaving).toBe('left')
  })

  it('get what a killed process of theirs held, once its session is over', async () => {
    const [peer, backend] = [await startPeer(), openBackend()]
    await peer.hold('mutex', `${root}/killed-peer`, 5_000)
    const waiting = acquireLease(backend, 'killed-peer', { waitMs: 120_000 })
    await expect(acquireLease(backend, 'killed-peer', { waitMs: 1_000 })).rejects.toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
    })
    await peer.kill()
    await using lease = await waiting
    lease.assertHeld()
  })

  it('get what a killed process of ours held, once its session is over', async () => {
    const [peer, child] = [await startPeer(), await holder(naming, root, 'killed-holder')]
    expect(await peer.hold('mutex', `${root}/killed-holder`, 100)).toBeUndefined()
    child.kill('SIGKILL')
    expect(await peer.hold('mutex', `${root}/killed-holder`, 30_000)).toBeDefined()
  })
})

describe('Curator', () => {
  it('asks us to give a lock up, and we hear of it', async () => {
    const peer = await startCurator({ connectString: server.connectString, sessionTimeoutMs: SESSION_MS })
    onTestFinished(() => peer.stop())
    const root = `/hf-interop-${randomUUID()}`
    const backend = zookeeperBackend({ connect: server.connectString, root, sessionTimeoutMs: SESSION_MS })
    onTestFinished(() => backend.close())
    const { leases } = backend
    const request = {
      resource: 'r',
      requestId: leases.newRequestId(),
      ttlMs: undefined,
      allowProvisional: true,
      meta: '{}',
    }
    const grant = await leases.grant(request)
    const asked = new Promise<void>(resolve => void leases.revocation?.listen(grant, resolve))
    await peer.revoke(`${root}/r`)
    await asked
    expect(await leases.release(grant)).toBe('released')
  })
})
