import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { noting } from './policies.fixture.ts'
import { protect } from './protect.ts'
import { serveSite } from './server.fixture.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** Resolves when `seen` is true, at the latest in time for the test to fail. */
async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await new Promise(resolve => void setImmediate(resolve))
}

it('asks no policy for a client that is gone already, and does not begin the handler', async () => {
  const policy = bulkhead({ limit: 1 })
  const begun: IncomingMessage[] = []
  const inside = protect(policy, (message: IncomingMessage) => begun.push(message))
  let hasDecided = false
  await using site = await serveSite((message, response) => {
    // As a middleware does that takes its time.
    response.once('close', () => {
      setImmediate(() => {
        inside(message, response)
        hasDecided = true
      })
    })
    socket.destroy()
  })
  const socket = connect(site.port, '127.0.0.1', () => socket.write(REQUEST))
  await until(() => hasDecided)
  await new Promise(resolve => void setImmediate(resolve))
  expect(begun).toHaveLength(0)
  expect(policy.executionSlots).toBe(1)
})

it('gives back what pipelined requests held, whose turn to be answered never comes', async () => {
  const policy = bulkhead({ limit: 30 })
  const responses: ServerResponse[] = []
  await using site = await serveSite(
    protect(policy, (_message: IncomingMessage, response: ServerResponse) => responses.push(response)),
  )
  const socket = connect(site.port, '127.0.0.1', () => socket.write(REQUEST.repeat(20)))
  await until(() => responses.length === 20)
  expect(policy.executionSlots).toBe(10)
  // One has been answered, before its turn.
  responses[7]?.end('well')
  socket.destroy()
  await until(() => policy.executionSlots === 30)
  expect(responses[1]?.socket).toBeNull()
})

it('ends the calls of pipelined requests as they are answered, each once', async () => {
  const policy = noting()
  const responses: ServerResponse[] = []
  await using site = await serveSite(
    protect(policy, (_message: IncomingMessage, response: ServerResponse) => responses.push(response)),
  )
  const socket = connect(site.port, '127.0.0.1', () => socket.write(REQUEST.repeat(3)))
  await until(() => responses.length === 3)
  for (const response of [...responses].reverse()) response.end('well')
  await until(() => policy.ends.length === 3)
  expect(policy.ends.map(({ kind }) => kind)).toEqual(['returned', 'returned', 'returned'])
  socket.destroy()
  await new Promise(resolve => void setImmediate(resolve))
  expect(policy.ends).toHaveLength(3)
})
