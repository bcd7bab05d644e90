import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from '@holdfast/config-client'
import { LOG_LEVELS, service } from './namespace.ts'
import type { PoolHolder } from './pool.ts'

/** A service that serves while its configuration changes: each request sees one revision from its beginning to its end. */
export class HttpService implements AsyncDisposable {
  readonly #server: Server
  readonly #config: Config
  readonly #pool: PoolHolder
  readonly #log: (line: string) => void

  private constructor(config: Config, pool: PoolHolder, log: (line: string) => void) {
    this.#config = config
    this.#pool = pool
    this.#log = log
    this.#server = createServer((request, response) => {
      void config.run(async () => {
        response.end(JSON.stringify(await this.#serve(request.url ?? '/')))
      })
    })
  }

  static async start(config: Config, pool: PoolHolder, log: (line: string) => void): Promise<HttpService> {
    const started = new HttpService(config, pool, log)
    started.#server.listen(config.get(service).port, '127.0.0.1')
    await once(started.#server, 'listening')
    return started
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #serve(path: string): Promise<Readonly<Record<string, unknown>>> {
    const { degraded, pool } = this.#config.get(service)
    this.#say('debug', `GET ${path}`)
    if (degraded) return { path, recommendations: 'none, degraded', poolMax: pool.max }
    return await this.#pool.current.use(async () => ({ path, recommendations: ['tea', 'milk'], poolMax: pool.max }))
  }

  #say(level: (typeof LOG_LEVELS)[number], text: string): void {
    const { logLevel } = this.#config.get(service)
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(logLevel)) this.#log(`  ${level.padEnd(5)} ${text}`)
  }
}
