import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a visit ended. A refusal without `Retry-After` is a rude one. */
export type Visit =
  | { readonly kind: 'served'; readonly tookMs: number }
  | { readonly kind: 'refused'; readonly isPolite: boolean }
  | { readonly kind: 'failed' }

// Who has waited for so long has gone to another shop.
const PATIENCE_MS = 1_000

/** People who visit a shop over connections that stay open. */
export class Visitors {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 })

  constructor(port: number) {
    this.#port = port
  }

  /** How many visits a second the shop can serve: by two that come again as soon as they were served. */
  async measureCapacity(ms: number): Promise<number> {
    let served = 0
    const startedMs = performance.now()
    const comeAgain = async (): Promise<void> => {
      while (performance.now() - startedMs < ms) if ((await this.#visit()).kind === 'served') served += 1
    }
    await Promise.all([comeAgain(), comeAgain()])
    return (served / (performance.now() - startedMs)) * 1_000
  }

  /** They come `perSecond`, at random times, for `ms`, whether the shop keeps up or not; `ended` hears of each visit, also later. */
  async come(perSecond: number, ms: number, ended: (visit: Visit) => void): Promise<void> {
    const startedMs = performance.now()
    let nextMs = 0
    while (performance.now() - startedMs < ms) {
      for (; nextMs <= performance.now() - startedMs; nextMs += (-Math.log(1 - Math.random()) / perSecond) * 1_000) {
        void this.#visit().then(ended)
      }
      await sleep(1)
    }
  }

  leave(): void {
    this.#agent.destroy()
  }

  #visit(): Promise<Visit> {
    return new Promise(resolve => {
      const startedMs = performance.now()
      const request = get(
        { host: '127.0.0.1', port: this.#port, agent: this.#agent, signal: AbortSignal.timeout(PATIENCE_MS) },
        response => {
          response.on('error', () => resolve({ kind: 'failed' }))
          response.resume().on('end', () => {
            const isServed = response.statusCode === 200
            const isPolite = response.headers['retry-after'] !== undefined
            resolve(
              isServed ? { kind: 'served', tookMs: performance.now() - startedMs } : { kind: 'refused', isPolite },
            )
          })
        },
      )
      request.on('error', () => resolve({ kind: 'failed' }))
    })
  }
}
