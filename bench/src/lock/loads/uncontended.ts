import type { Client } from '../contestants/contestant.ts'

/** Locks that nobody else wants: so many acquired and released at once, each on a name of its own. */
export interface UncontendedLoad {
  readonly kind: 'uncontended'
  readonly names: readonly string[]
  readonly durationMs: number
}

export interface UncontendedResult {
  /** How often a lock was acquired and released. */
  readonly cycles: number
  readonly elapsedMs: number
  /** CPU time of the client's process. */
  readonly cpuUs: number
}

/** Acquires and releases, over one connection, until the time is over. */
export async function runUncontended(client: Client, load: UncontendedLoad): Promise<UncontendedResult> {
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + load.durationMs
  let cycles = 0
  const loop = async (name: string): Promise<void> => {
    while (performance.now() < endMs) {
      const held = await client.acquire(name)
      await held.release()
      cycles += 1
    }
  }
  await Promise.all(load.names.map(loop))
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  return { cycles, elapsedMs, cpuUs: user + system }
}

/** One result of several turns. */
export function mergeUncontended(turns: readonly UncontendedResult[]): UncontendedResult {
  const total = { cycles: 0, elapsedMs: 0, cpuUs: 0 }
  for (const turn of turns) {
    total.cycles += turn.cycles
    total.elapsedMs += turn.elapsedMs
    total.cpuUs += turn.cpuUs
  }
  return total
}
