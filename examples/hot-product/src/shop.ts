// The shop, a process of its own: each request uses the CPU for some milliseconds, as rendering or pricing does.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ownTurn, pipeline, protect, shed } from '@holdfast/resilience'

const [kind = 'unprotected', workMs = '5'] = process.argv.slice(2)

function work(): void {
  const until = performance.now() + Number(workMs)
  while (performance.now() < until);
}

function handle(_request: IncomingMessage, response: ServerResponse): void {
  work()
  response.end('sold')
}

// This is all that it takes.
const policy = pipeline(shed(), ownTurn())
const server = createServer(kind === 'protected' ? protect(policy, handle) : handle)

server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit(0))
