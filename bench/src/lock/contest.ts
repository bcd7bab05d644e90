import type { RoundResults, RoundSettings, Runner } from '../rounds.ts'
import { runInterleaved } from '../rounds.ts'
import type { RunSettings } from '../suite.ts'
import { ContestantProcess } from './contestant-process.ts'
import type { Store } from './contestants/index.ts'
import type { Load, LoadResults } from './loads/load.ts'
import type { PeerLoad, PeerName } from './peer-runner.ts'
import { startPeerRunner } from './peer-runner.ts'
import { place } from './placement.ts'
import type { Servers } from './servers.ts'

/** The same load on several contestants, in turns. */
export interface Contest<L extends Load & PeerLoad> {
  readonly name: string
  readonly store: Store
  /** The first two are ours and the reference. */
  readonly contestants: readonly [string, string, ...string[]]
  /** Those of other languages, who come after them. */
  readonly peers: readonly PeerName[]
  readonly connections: number
  readonly rounds: RoundSettings<LoadResults[L['kind']]>
  /** What a contestant locks: names of its own, so that nobody meets another's keys. */
  readonly namesOf: (contestant: string) => readonly string[]
  /** Turn -1 warms up and is not counted; the others run for a share of a round. */
  readonly loadOf: (names: readonly string[], turn: number, share: number) => L
  /** How long one load may take at most. */
  readonly limitMs: number
}

/** Starts a process for each contestant, warms it up, and runs the rounds interleaved. */
export async function runContest<L extends Load & PeerLoad>(
  contest: Contest<L>,
  servers: Servers,
  settings: RunSettings,
): Promise<RoundResults<LoadResults[L['kind']]>> {
  const started: { stop(): Promise<void> }[] = []
  const start = async (contestant: string): Promise<Runner<LoadResults[L['kind']]>> => {
    settings.say(`${contest.name}: ${contestant} warms up`)
    const process = await startProcess(contest, contestant, servers)
    started.push(process)
    // ZooKeeper has many threads, and wants all cores: kept to some of them, it would be what is measured.
    if (contest.store.startsWith('redis')) place('contestant', process.pid)
    return await warmedUp(contest, contestant, process)
  }
  const startPeer = async (name: PeerName): Promise<Runner<LoadResults[L['kind']]>> => {
    settings.say(`${contest.name}: ${name} warms up`)
    const names = contest.namesOf(name)
    const loadOf = (turn: number, share: number): L => contest.loadOf(names, turn, share)
    const { peer, runner } = await startPeerRunner(name, await servers.addressOf(contest.store), loadOf)
    started.push(peer)
    return runner
  }
  try {
    const [ours, reference, ...others] = contest.contestants
    const pair = [await start(ours), await start(reference)] as const
    const peers: Runner<LoadResults[L['kind']]>[] = []
    for (const contestant of others) peers.push(await start(contestant))
    for (const name of contest.peers) peers.push(await startPeer(name))
    settings.say(`${contest.name}: ${contest.rounds.rounds} rounds`)
    return await runInterleaved([...pair, ...peers], contest.rounds)
  } finally {
    await Promise.all(started.map(process => process.stop()))
  }
}

async function warmedUp<L extends Load & PeerLoad>(
  { namesOf, loadOf, limitMs }: Contest<L>,
  name: string,
  process: ContestantProcess,
): Promise<Runner<LoadResults[L['kind']]>> {
  const names = namesOf(name)
  await process.run(loadOf(names, -1, 1), limitMs)
  let turn = 0
  return { name, run: share => process.run(loadOf(names, turn++, share), limitMs) }
}

async function startProcess<L extends Load & PeerLoad>(
  { store, connections, namesOf }: Contest<L>,
  contestant: string,
  servers: Servers,
): Promise<ContestantProcess> {
  const address = await servers.addressOf(store)
  return await ContestantProcess.start({ store, contestant, address, connections, names: namesOf(contestant) })
}
