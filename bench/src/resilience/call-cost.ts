import { askProcess } from '../one-answer.ts'
import type { Measured } from '../row.ts'
import type { RoundResults } from '../rounds.ts'
import { mediansOf } from '../rounds.ts'
import type { Measure } from '../suite.ts'
import type { CallCost } from './call-contestants.ts'
import { CALL_CONTESTANTS } from './call-contestants.ts'
import type { CallAnswer, CallSettings } from './call-worker.ts'
import { rows } from './rows.ts'

const WORKER = new URL('./call-worker.js', import.meta.url)
const FULL = { rounds: 7, turns: 7, calls: 40_000 }
const SMOKE = { rounds: 1, turns: 1, calls: 500 }
const LIMIT_MS = 120_000

/** What one call costs under protection, over a bare one; each contestant in a fresh process each round. */
export function callCost(cost: CallCost): Measure<unknown> {
  return {
    name: cost,
    async run(_, { isSmoke }) {
      const { rounds, turns, calls } = isSmoke ? SMOKE : FULL
      const results = new Map(Object.keys(CALL_CONTESTANTS).map(name => [name, [] as CallAnswer[]]))
      for (let round = 0; round < rounds; round += 1) {
        for (const [contestant, answers] of results) {
          const settings: CallSettings = { contestant, cost, turns, calls }
          answers.push(await askProcess<CallAnswer>(WORKER, settings, LIMIT_MS))
        }
      }
      return rowsOf(cost, results)
    },
  }
}

function rowsOf(cost: CallCost, results: RoundResults<CallAnswer>): readonly Measured[] {
  const overBareNs = ({ overBareNs: ns }: CallAnswer): number => ns
  const subject = { name: cost, unit: 'ns over bare', better: 'lower' } as const
  const bare = { 'bare await, ns': Object.fromEntries(mediansOf(results, ({ bareNs }) => bareNs)) }
  if (cost !== 'pipeline-6') return [{ ...rows.absolute(subject, mediansOf(results, overBareNs)), details: bare }]
  const ours = new Map([['ours', mediansOf(results, overBareNs).get('ours') ?? NaN]])
  return [
    { ...rows.compared(subject, results, { reference: 'cockatiel 4', figure: overBareNs }), details: bare },
    rows.absolute({ ...subject, name: 'pipeline-6:over_bare_ns' }, ours),
  ]
}
