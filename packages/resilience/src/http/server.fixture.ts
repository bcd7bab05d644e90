import type { IncomingHttpHeaders, RequestListener, Server } from 'node:http'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a client saw. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Whether the connection had been used before. */
  readonly isReused: boolean
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

/** A server on a free port of the loopback, and a client that keeps one connection alive. */
export interface Site extends AsyncDisposable {
  readonly server: Server
  readonly port: number
  ask(asked?: Asked): Promise<Answer>
}

export async function serveSite(listener: RequestListener): Promise<Site> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return siteOf(server)
}

export function siteOf(server: Server): Site {
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    server,
    port,
    ask: asked => ask(port, agent, asked),
    async [Symbol.asyncDispose]() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise<void>(resolve => void server.close(() => resolve()))
    },
  }
}

function ask(
  port: number,
  agent: Agent,
  { method = 'GET', path = '/', headers = {}, body }: Asked = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, agent, method, path, headers }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString(),
          isReused: sent.reusedSocket,
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
