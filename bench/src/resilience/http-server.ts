// A server whose handler uses the CPU for some milliseconds: with protection, or without.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ownTurn, pipeline, protect, shed } from '@holdfast/resilience'
import { answer, settingsOf } from '../one-answer.ts'

/** What the server does. */
export interface HttpServerSettings {
  readonly isProtected: boolean
  readonly workMs: number
}

const { isProtected, workMs } = settingsOf<HttpServerSettings>()

// By CPU time, not by the clock: what the machine does for others beside it is not the handler's.
function work(): void {
  const startedUs = cpuUs()
  while (cpuUs() - startedUs < workMs * 1_000);
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function handle(_request: IncomingMessage, response: ServerResponse): void {
  work()
  response.end('done')
}

const policy = pipeline(shed(), ownTurn())
const server = createServer(isProtected ? protect(policy, handle) : handle)
server.listen(0, '127.0.0.1', () => answer((server.address() as AddressInfo).port))
