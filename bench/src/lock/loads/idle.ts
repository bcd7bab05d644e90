import type { Client } from '../contestants/contestant.ts'
import { TTL_MS } from '../contestants/contestant.ts'

/** Takes the lock and keeps it. */
export interface HoldLoad {
  readonly kind: 'hold'
  readonly name: string
}

/** Waits for a lock that another keeps, so many times at once. */
export interface WaitLoad {
  readonly kind: 'wait'
  readonly name: string
  readonly waiters: number
}

/** Returns once it is held; it stays so for as long as the process lives. */
export async function hold(client: Client, load: HoldLoad): Promise<null> {
  const held = await client.acquire(load.name)
  if (held.renew !== undefined) setInterval(() => void held.renew?.(), TTL_MS / 3)
  return null
}

/** Returns at once: the waiters wait for as long as the process lives. */
export function wait(client: Client, load: WaitLoad): null {
  for (let waiter = 0; waiter < load.waiters; waiter += 1) void waitFor(client, load.name)
  return null
}

async function waitFor(client: Client, name: string): Promise<void> {
  await client.acquire(name)
  throw new Error(`A waiter got the lock ${name} while it was held.`)
}
