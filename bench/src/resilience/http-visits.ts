import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a request ended. A refusal that does not say when to come again is `rude`; whoever lost his patience is `late`. */
export type HttpEnd =
  | { readonly kind: 'served'; readonly tookMs: number }
  | { readonly kind: 'refused' | 'rude' | 'late' | 'failed' }

// An answer that comes later is of no use to whoever asked.
const PATIENCE_MS = 1_000
const SOCKETS_MAX = 512
// As many as keep a server of one thread busy, and no queue.
const SATURATING = 4

/** Requests to a server over connections that stay open. */
export class HttpVisits {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: SOCKETS_MAX })
  #ended: HttpEnd[] = []

  constructor(port: number) {
    this.#port = port
  }

  /** Those that have ended since `forget`. */
  get ended(): readonly HttpEnd[] {
    return this.#ended
  }

  forget(): void {
    this.#ended = []
  }

  /** How many requests a second are served when there are always some. */
  async saturate(ms: number): Promise<number> {
    let served = 0
    const startedMs = performance.now()
    const ask = async (): Promise<void> => {
      while (performance.now() - startedMs < ms) if ((await this.#visit()).kind === 'served') served += 1
    }
    await Promise.all(Array.from({ length: SATURATING }, ask))
    return (served / (performance.now() - startedMs)) * 1_000
  }

  /** Asks so many times a second, at random moments, whether the server keeps up or not. */
  async come(perSecond: number, ms: number): Promise<void> {
    const startedMs = performance.now()
    let nextMs = 0
    while (performance.now() - startedMs < ms) {
      for (; nextMs <= performance.now() - startedMs; nextMs += (-Math.log(1 - Math.random()) / perSecond) * 1_000) {
        void this.#visit().then(end => this.#ended.push(end))
      }
      await sleep(1)
    }
  }

  leave(): void {
    this.#agent.destroy()
  }

  #visit(): Promise<HttpEnd> {
    return new Promise(resolve => {
      const startedMs = performance.now()
      const signal = AbortSignal.timeout(PATIENCE_MS)
      const failed = (): void => resolve({ kind: signal.aborted ? 'late' : 'failed' })
      get({ host: '127.0.0.1', port: this.#port, agent: this.#agent, signal }, response => {
        response.on('error', failed)
        response.resume().on('end', () => {
          if (response.statusCode === 200) resolve({ kind: 'served', tookMs: performance.now() - startedMs })
          else resolve({ kind: isPolite(response.statusCode, response.headers['retry-after']) ? 'refused' : 'rude' })
        })
      }).on('error', failed)
    })
  }
}

function isPolite(status: number | undefined, retryAfter: string | undefined): boolean {
  return status === 503 && Number(retryAfter) >= 1
}
