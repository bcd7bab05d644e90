import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { onTestFinished } from 'vitest'
import type { Grant, LeaseMode, LeaseRequest } from '../ports/leases.ts'
import { systemRandom, toHex } from '../random.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { RawClient, rawDriver } from './raw-client.fixture.ts'

export const READ: LeaseMode = { kind: 'read' }
export const WRITE: LeaseMode = { kind: 'write' }

export function permitOf(limit: number): LeaseMode {
  return { kind: 'permit', limit }
}

/** A node of its own in a real ZooKeeper, with backends that keep their locks below it, and a client that looks past them. */
export class LeaseWorld implements AsyncDisposable {
  readonly root: string
  readonly raw: RawClient
  readonly #connectString: string
  readonly #stop: () => Promise<void>
  #names = 0

  private constructor(connectString: string, raw: RawClient, stop: () => Promise<void>) {
    this.root = `/holdfast-modes-${toHex(systemRandom.bytes(6))}`
    this.raw = raw
    this.#connectString = connectString
    this.#stop = stop
  }

  static async open(): Promise<LeaseWorld> {
    const server = await sharedZooKeeper()
    return new LeaseWorld(server.connectString, await RawClient.connect(server.connectString), () => server.stop())
  }

  /** A backend until the end of the test. */
  backend(options: Partial<ZooKeeperBackendOptions> = {}): ZooKeeperBackend {
    const { root } = this
    const backend = zookeeperBackend({ connect: this.#connectString, root, sessionTimeoutMs: 60_000, ...options })
    onTestFinished(() => backend.close())
    return backend
  }

  async backendBehindProxy(
    options: Partial<ZooKeeperBackendOptions> = {},
  ): Promise<readonly [ZooKeeperBackend, FaultProxy]> {
    const [host = '', port = ''] = this.#connectString.split(':')
    const proxy = await createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
    onTestFinished(() => proxy.close())
    const backend = this.backend({ connect: proxy.connectString, ...options })
    await backend.ready()
    return [backend, proxy]
  }

  /** A name that no other test uses. */
  name(): string {
    this.#names += 1
    return `r${this.#names}`
  }

  path(...steps: readonly string[]): string {
    return [this.root, ...steps].join('/')
  }

  /** The children of a node; none when it is missing. */
  async children(...steps: readonly string[]): Promise<string[]> {
    const children = await this.raw.children(this.path(...steps)).catch(() => [])
    return [...children].sort()
  }

  /** Makes a node as another client would, ephemeral and with a number. Answers its path. */
  async contend(prefix: string): Promise<string> {
    const path = this.path(prefix)
    await this.raw.mkdirp(path.slice(0, path.lastIndexOf('/')))
    return this.raw.create(path, '', rawDriver.CreateMode['EPHEMERAL_SEQUENTIAL'])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.raw.removeTree(this.root)
    this.raw.close()
    await this.#stop()
  }
}

export function wish(backend: ZooKeeperBackend, resource: string, mode?: LeaseMode): LeaseRequest {
  const requestId = backend.leases.newRequestId()
  return { resource, requestId, mode, ttlMs: undefined, allowProvisional: true, meta: '{"purpose":"test"}' }
}

/** What must be free. */
export async function take(backend: ZooKeeperBackend, resource: string, mode?: LeaseMode): Promise<Grant> {
  const outcome = await backend.leases.tryGrant(wish(backend, resource, mode))
  if (outcome.kind === 'held') throw new Error(`"${resource}" is held.`)
  return outcome.grant
}
