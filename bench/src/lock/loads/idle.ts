import type { Client } from '../contestants/contestant.ts'
import { TTL_MS } from '../contestants/contestant.ts'

/** Takes the lock and keeps it. */
export interface HoldLoad {
  readonly kind: 'hold'
  readonly name: string
}

/** Takes so many locks, each of a name of its own, and keeps them. */
export interface HoldManyLoad {
  readonly kind: 'hold-many'
  readonly name: string
  readonly count: number
}

/** Says how busy the process has been since it was asked last. */
export interface BusyLoad {
  readonly kind: 'busy'
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

const AT_ONCE = 500

/** Returns once all are held; they stay so for as long as the process lives. */
export async function holdMany(client: Client, { name, count }: HoldManyLoad): Promise<null> {
  for (let from = 0; from < count; from += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - from)
    await Promise.all(
      Array.from({ length: size }, (_, at) => hold(client, { kind: 'hold', name: `${name}-${from + at}` })),
    )
  }
  return null
}

let busyBefore = process.cpuUsage()

/** CPU time since the last such question, in µs. */
export function busy(): number {
  const { user, system } = process.cpuUsage(busyBefore)
  busyBefore = process.cpuUsage()
  return user + system
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
