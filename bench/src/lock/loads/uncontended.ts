import type { Client } from '../contestants/contestant.ts'

/** Locks that nobody else wants: so many acquired and released at once, each on a name of its own. */
export interface UncontendedLoad {
  readonly kind: 'uncontended'
  readonly names: readonly string[]
  readonly durationMs: number
}

export interface UncontendedResult {
  readonly perSecond: number
}

/** Acquires and releases, over one connection, until the time is over. */
export async function runUncontended(client: Client, load: UncontendedLoad): Promise<UncontendedResult> {
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
  return { perSecond: cycles / ((performance.now() - startMs) / 1_000) }
}
