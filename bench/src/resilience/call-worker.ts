import { answer, settingsOf } from '../one-answer.ts'
import { median } from '../statistics.ts'
import type { CallCost } from './call-contestants.ts'
import { CALL_CONTESTANTS } from './call-contestants.ts'

/** What a process measures. */
export interface CallSettings {
  readonly contestant: string
  readonly cost: CallCost
  readonly calls: number
  readonly turns: number
}

/** Nanoseconds a call, a bare one already taken off. */
export interface CallAnswer {
  readonly bareNs: number
  readonly overBareNs: number
}

const { contestant, cost, calls, turns } = settingsOf<CallSettings>()
const makers = CALL_CONTESTANTS[contestant]
if (makers === undefined) throw new Error(`There is no contestant ${contestant}.`)
const run = await makers[cost]()
const work = async (): Promise<number> => 1

const bare: number[] = []
const over: number[] = []
for (let turn = 0; turn <= turns; turn += 1) {
  const bareNs = await timed(work)
  const ns = await timed(() => run(work))
  // The first one compiles.
  if (turn === 0) continue
  bare.push(bareNs)
  over.push(ns - bareNs)
}
answer({ bareNs: median(bare), overBareNs: median(over) } satisfies CallAnswer)

async function timed(call: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.()
  const startedNs = process.hrtime.bigint()
  for (let index = 0; index < calls; index += 1) await call()
  return Number(process.hrtime.bigint() - startedNs) / calls
}
