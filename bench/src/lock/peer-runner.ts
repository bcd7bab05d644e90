import type { Peer, PeerOptions } from '@holdfast/scripts/peers'
import { startCurator, startKazoo } from '@holdfast/scripts/peers'
import type { Runner } from '../rounds.ts'
import type { HandOffResult } from './loads/hand-off.ts'
import type { LoadResults } from './loads/load.ts'
import type { UncontendedResult } from './loads/uncontended.ts'

/** Contestants of other languages, by the name that rows use. */
export type PeerName = 'curator' | 'kazoo'

const STARTS = { curator: startCurator, kazoo: startKazoo }

/** A load that they can be put under. */
export type PeerLoad =
  | { readonly kind: 'uncontended'; readonly names: readonly string[]; readonly durationMs: number }
  | { readonly kind: 'hand-off'; readonly name: string; readonly durationMs: number; readonly holdMs: number }

/** How many want one lock in the hand-off measures. */
export const HAND_OFF_CLIENTS = 16

// A JVM compiles what it has seen often.
const WARM_UPS = 4

/** Starts a process of another language. */
export function startPeer(name: PeerName, options: PeerOptions): Promise<Peer> {
  return STARTS[name](options)
}

/** The same, warmed up. */
export async function startPeerRunner<L extends PeerLoad>(
  name: PeerName,
  connectString: string,
  loadOf: (turn: number, share: number) => L,
): Promise<{ readonly peer: Peer; readonly runner: Runner<LoadResults[L['kind']]> }> {
  const peer = await startPeer(name, { connectString })
  const run = async (load: PeerLoad): Promise<LoadResults[L['kind']]> => {
    const result = load.kind === 'uncontended' ? await uncontended(peer, load) : await handOff(peer, load)
    return result as LoadResults[L['kind']]
  }
  for (let times = 0; times < WARM_UPS; times += 1) await run(loadOf(-1, 1))
  let turn = 0
  return { peer, runner: { name, run: share => run(loadOf(turn++, share)) } }
}

async function uncontended(
  peer: Peer,
  { names, durationMs }: Extract<PeerLoad, { kind: 'uncontended' }>,
): Promise<UncontendedResult> {
  const load = { threads: names.length, ms: durationMs, holdMs: 0 }
  const cycles = await peer.race('apart', `/bench/${names[0]}`, load)
  return { cycles, elapsedMs: durationMs, cpuUs: NaN }
}

// Their queues are as fair as ours, so whoever takes a turn got it from another.
async function handOff(
  peer: Peer,
  { name, durationMs, holdMs }: Extract<PeerLoad, { kind: 'hand-off' }>,
): Promise<HandOffResult> {
  const load = { threads: HAND_OFF_CLIENTS, ms: durationMs, holdMs }
  const handOffs = await peer.race('together', `/bench/${name}`, load)
  return { elapsedMs: durationMs, handOffs, acquisitions: handOffs, gapsMs: [], turns: [], heldMs: NaN }
}
