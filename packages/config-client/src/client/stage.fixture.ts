import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { z } from 'zod'
import type { Config, ConfigOptions } from '../index.ts'
import { defineNamespace, openConfig } from '../index.ts'
import { placesOf } from '../release/scope.ts'
import { ScopeFixture } from './scope.fixture.ts'
import type { Unsteady } from './unsteady.fixture.ts'
import { unsteady } from './unsteady.fixture.ts'

export const scope = { app: 'shop', env: 'test' }
export const places: ReturnType<typeof placesOf> = placesOf(scope)

export const checkout = defineNamespace('checkout', {
  schema: z.object({ timeoutMs: z.number().min(0).default(500), retries: z.number().default(3) }),
})
export const search = defineNamespace('search', { schema: z.object({ pageSize: z.number().default(10) }) })

/** A simulated world with one scope in it, a publisher, and services that are opened on it. */
export class Stage {
  readonly clock = new SimulatedClock()
  readonly world: MemoryWorld = new MemoryWorld(this.clock)
  readonly store: ScopeFixture = new ScopeFixture(memoryBackend({ world: this.world }), scope)
  readonly link: Unsteady = unsteady(memoryBackend({ world: this.world }))
  readonly #configs: Config[] = []
  readonly #folders: string[] = []

  async open(options: Partial<ConfigOptions> = {}): Promise<Config> {
    const config = await openConfig({
      backend: this.link.backend,
      ...scope,
      namespaces: [checkout, search],
      ...options,
    })
    this.#configs.push(config)
    return config
  }

  /** As `open`, where time has to pass before it is. */
  async openIn(ms: number, options: Partial<ConfigOptions> = {}): Promise<Config> {
    let isOver = false
    const opening = this.open(options).finally(() => {
      isOver = true
    })
    opening.catch(() => undefined)
    // Files are read before the timer of the start is set, which is the one that holds the process.
    while (!isOver && this.clock.holdingTimers === 0) await new Promise(resolve => void setTimeout(resolve, 1))
    await this.clock.advance(ms)
    return await opening
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-config-'))
    this.#folders.push(folder)
    return folder
  }

  async end(): Promise<void> {
    this.link.isDown = false
    await Promise.all(this.#configs.map(config => config.close()))
    await Promise.all(this.#folders.map(folder => rm(folder, { recursive: true, force: true })))
  }
}
