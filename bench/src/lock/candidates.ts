import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerHold } from '@holdfast/scripts/peers'
import { ContestantProcess } from './contestant-process.ts'
import type { SingleStore } from './contestants/index.ts'
import type { PeerName } from './peer-runner.ts'
import { startPeer } from './peer-runner.ts'

/** One who stands for an election, in a process of its own. */
export interface Candidate {
  /** Returns once it leads. */
  campaign(): Promise<unknown>
  resign(): Promise<unknown>
  /** Ends its process at once; nothing is given back. */
  kill(): Promise<void>
}

/** Where candidates stand, and for how long a crash of one of them is not noticed. */
interface Seat {
  readonly address: string
  readonly ttlMs: number
}

const LIMIT_MS = 30_000

/** Ours. */
export async function ownCandidate(seat: Seat & { readonly store: SingleStore }, name: string): Promise<Candidate> {
  const own = { contestant: 'ours', connections: 1, names: [] }
  const process = await ContestantProcess.start({ ...seat, ...own })
  return {
    campaign: () => process.run({ kind: 'campaign', name }, LIMIT_MS),
    resign: () => process.run({ kind: 'resign', name }, LIMIT_MS),
    kill: () => process.kill(),
  }
}

/** Curator's LeaderSelector, or kazoo's Election. */
export async function peerCandidate(peer: PeerName, { address, ttlMs }: Seat, path: string): Promise<Candidate> {
  const process = await startPeer(peer, { connectString: address, sessionTimeoutMs: ttlMs })
  let held: PeerHold | undefined
  return {
    async campaign() {
      const end = new AbortController()
      // kazoo's would wait for ever.
      const late = sleep(LIMIT_MS, undefined, { signal: end.signal })
      held = await Promise.race([process.hold('leader', path, LIMIT_MS), late]).finally(() => end.abort())
      if (held === undefined) throw new Error(`${peer} did not lead within ${LIMIT_MS} ms.`)
    },
    async resign() {
      await held?.free()
    },
    kill: () => process.kill(),
  }
}
