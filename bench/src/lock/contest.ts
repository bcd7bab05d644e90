import type { RoundResults, Runner } from '../rounds.ts'
import { runInterleaved } from '../rounds.ts'
import type { RunSettings } from '../suite.ts'
import { ContestantProcess } from './contestant-process.ts'
import type { Store } from './contestants/index.ts'
import type { Load, LoadResults } from './loads/load.ts'
import type { Servers } from './servers.ts'

/** The same load on several contestants, in turns. */
export interface Contest<L extends Load> {
  readonly name: string
  readonly store: Store
  /** The first two are ours and the reference. */
  readonly contestants: readonly string[]
  readonly connections: number
  readonly rounds: number
  /** What a contestant locks: names of its own, so that nobody meets another's keys. */
  readonly namesOf: (contestant: string) => readonly string[]
  /** Round -1 warms up and is not counted. */
  readonly loadOf: (names: readonly string[], round: number) => L
  /** How long one load may take at most. */
  readonly limitMs: number
}

/** Starts a process for each contestant, warms it up, and runs the rounds interleaved. */
export async function runContest<L extends Load>(
  contest: Contest<L>,
  servers: Servers,
  settings: RunSettings,
): Promise<RoundResults<LoadResults[L['kind']]>> {
  const started: ContestantProcess[] = []
  try {
    const runners: Runner<LoadResults[L['kind']]>[] = []
    for (const contestant of contest.contestants) {
      settings.say(`${contest.name}: ${contestant} warms up`)
      const process = await start(contest, contestant, servers)
      started.push(process)
      const names = contest.namesOf(contestant)
      await process.run(contest.loadOf(names, -1), contest.limitMs)
      let round = 0
      const run = (): Promise<LoadResults[L['kind']]> => {
        settings.say(`${contest.name}: round ${round + 1} of ${contest.rounds}, ${contestant}`)
        return process.run(contest.loadOf(names, round++), contest.limitMs)
      }
      runners.push({ name: contestant, run })
    }
    return await runInterleaved(runners, contest.rounds)
  } finally {
    await Promise.all(started.map(process => process.stop()))
  }
}

async function start<L extends Load>(
  { store, connections, namesOf }: Contest<L>,
  contestant: string,
  servers: Servers,
): Promise<ContestantProcess> {
  const address = await servers.addressOf(store)
  return await ContestantProcess.start({ store, contestant, address, connections, names: namesOf(contestant) })
}
