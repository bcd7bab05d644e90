import { describe, expect, it } from 'vitest'
import type { LeaseRequest } from '../ports/leases.ts'
import { SimulatedClock } from '../testing/index.ts'
import type { PostgresConnection } from './connection.ts'
import { LeaseCommands } from './lease-commands.ts'
import { schemaOf } from './schema.ts'

/** Stands for the connection: a test answers what was asked, in any order. */
class FakeConnection {
  readonly commandTimeoutMs = 2_000
  readonly asked: {
    readonly step: string
    readonly values: readonly unknown[]
    readonly answer: (text: string) => void
  }[] = []

  within<T>(ask: (client: unknown, remainingMs: number) => Promise<T>): Promise<T> {
    const query = ({ text, values }: { readonly text: string; readonly values: readonly unknown[] }) =>
      new Promise(resolve => {
        const step = /\w+_v1/.exec(text)?.[0] ?? ''
        this.asked.push({ step, values, answer: answer => resolve({ rows: [[answer]] }) })
      })
    return ask({ query }, this.commandTimeoutMs)
  }

  steps(): readonly string[] {
    return this.asked.map(({ step }) => step)
  }
}

function scene() {
  const connection = new FakeConnection()
  const inbox: { watchKey: string | undefined; losses: number } = { watchKey: undefined, losses: 0 }
  const commands = new LeaseCommands({
    clock: new SimulatedClock(),
    connection: connection as unknown as PostgresConnection,
    schema: schemaOf('holdfast'),
    claimMs: 3_000,
    epoch: () => 1,
    inbox: () => inbox,
  })
  return { connection, inbox, commands }
}

const request: LeaseRequest = { resource: 'r', requestId: 'p-1.a', ttlMs: 500, allowProvisional: true, meta: '{}' }
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('LeaseCommands', () => {
  it('give back what came by message after the question that is under way: it would take the lease anew (seen in the conformance suite)', async () => {
    const { connection, commands } = scene()
    const asked = commands.acquire(request, { mayQueue: true })
    const released = commands.releaseInTurn(request)
    await turn()
    expect(connection.steps()).toEqual(['acquire_lease_v1'])
    connection.asked[0]?.answer('queued 1000 250 0 1 7')
    expect(await asked).toMatchObject({ kind: 'queued', serverUs: 1_000, remainingMs: 250, position: 0, isNew: true })
    await turn()
    expect(connection.steps()).toEqual(['acquire_lease_v1', 'release_lease_v1'])
    connection.asked[1]?.answer('released')
    expect(await released).toBe('released')
  })

  it('take back after the question that is under way, once: it would leave a place in the queue (seen in abort-in-flight under load)', async () => {
    const { connection, commands } = scene()
    commands.takeBack(request, commands.acquire(request, { mayQueue: true }))
    await turn()
    expect(connection.steps()).toEqual(['acquire_lease_v1'])
    connection.asked[0]?.answer('queued 1000 250 0 1 7')
    await turn()
    expect(connection.steps()).toEqual(['acquire_lease_v1', 'release_lease_v1'])
    connection.asked[1]?.answer('lost')
    await commands.idle()
    expect(connection.steps()).toHaveLength(2)
  })

  it('give back at once when nothing is under way', async () => {
    const { connection, commands } = scene()
    const released = commands.releaseInTurn(request)
    await turn()
    connection.asked[0]?.answer('lost')
    expect(await released).toBe('lost')
  })

  it('count the deadline of a grant from before the question was sent', async () => {
    const { connection, commands } = scene()
    const asked = commands.acquire(request, { mayQueue: false })
    await turn()
    connection.asked[0]?.answer('granted 17')
    const outcome = await asked
    expect(outcome).toMatchObject({ kind: 'granted', grant: { token: { value: 17n }, ttlMs: 500 } })
    expect(outcome.kind === 'granted' && outcome.grant.deadline.remainingMs()).toBe(500 - (0.01 * 500 + 2))
  })

  it('say by which key their inbox is watched, and of a place its ticket only once the inbox was lost since', async () => {
    const { connection, inbox, commands } = scene()
    const standing = async (): Promise<unknown> => {
      const asked = commands.acquire(request, { mayQueue: true })
      await turn()
      const last = connection.asked.at(-1)
      last?.answer('queued 1000 250 0 1 7')
      await asked
      return last?.values.slice(5, 7)
    }
    expect(await standing()).toEqual([null, null])
    inbox.watchKey = '-12'
    expect(await standing()).toEqual(['-12', null])
    inbox.losses += 1
    expect(await standing()).toEqual(['-12', '7'])
    expect(await standing()).toEqual(['-12', null])
  })

  it('take an answer that they do not know for a broken promise', async () => {
    for (const step of [
      (commands: LeaseCommands) => commands.acquire(request, { mayQueue: false }),
      (commands: LeaseCommands) => commands.release(request),
    ]) {
      const { connection, commands } = scene()
      const asked = step(commands)
      await turn()
      connection.asked[0]?.answer('perhaps')
      await expect(asked).rejects.toMatchObject({ code: 'HF_INVARIANT' })
    }
  })
})
