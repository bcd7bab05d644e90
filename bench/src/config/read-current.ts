import { openConfig, openConfigAdmin } from '@holdfast/config-client'
import type { Live } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import type { Servers } from '../lock/servers.ts'
import type { Measured } from '../row.ts'
import { median } from '../statistics.ts'
import type { Measure } from '../suite.ts'
import type { Payload } from './payload.ts'
import { payload, payloadOf } from './payload.ts'
import { rows } from './rows.ts'

const NAME = 'read-current'
const ROUNDS = 21
const READS = 20_000_000
const SMOKE = { rounds: 3, reads: 100_000 }
// More than one of each, in turn: what is read from one object again and again is read once.
const OBJECTS = 8

/** Reads a value of `live.current` against a property of a plain object. */
export const readCurrent: Measure<Servers> = {
  name: NAME,
  async run(_, { isSmoke }) {
    const { rounds, reads } = isSmoke ? SMOKE : { rounds: ROUNDS, reads: READS }
    await using backend = memoryBackend()
    const admin = openConfigAdmin({ backend, app: 'bench', env: 'bench', namespaces: [payload] })
    await admin.publish([payload.replace(payloadOf(500, 100))])
    const configs = await Promise.all(
      Array.from({ length: OBJECTS }, () =>
        openConfig({ backend, app: 'bench', env: 'bench', namespaces: [payload], report: false }),
      ),
    )
    const lives = configs.map(config => config.live(payload))
    const plain = lives.map(live => ({ ...live.current }))
    const times = { plain: [] as number[], ours: [] as number[] }
    for (let round = 0; round <= rounds; round += 1) {
      const plainNs = timed(() => sumPlain(plain, reads), reads)
      const oursNs = timed(() => sumLive(lives, reads), reads)
      // The first one compiles.
      if (round === 0) continue
      times.plain.push(plainNs)
      times.ours.push(oursNs)
    }
    await Promise.all(configs.map(config => config.close()))
    await admin.close()
    return rowsOf(times)
  },
}

function rowsOf(times: Readonly<Record<'plain' | 'ours', readonly number[]>>): readonly Measured[] {
  const results = new Map(Object.entries(times))
  const read = { name: NAME, unit: 'ns', better: 'lower' } as const
  const differences = times.ours.map((ours, round) => ours - (times.plain[round] ?? NaN))
  return [
    rows.compared(read, results, { reference: 'plain', figure: ns => ns }),
    rows.absolute({ ...read, name: `${NAME}:difference_ns` }, new Map([['ours', median(differences)]])),
  ]
}

function sumPlain(objects: readonly Payload[], reads: number): number {
  let sum = 0
  for (let index = 0; index < reads; index += 1) sum += objects[index & (OBJECTS - 1)]!.timeoutMs
  return sum
}

function sumLive(lives: readonly Live<Readonly<Payload>>[], reads: number): number {
  let sum = 0
  for (let index = 0; index < reads; index += 1) sum += lives[index & (OBJECTS - 1)]!.current.timeoutMs
  return sum
}

function timed(work: () => number, reads: number): number {
  const startedNs = process.hrtime.bigint()
  const sum = work()
  const tookNs = Number(process.hrtime.bigint() - startedNs)
  if (sum !== 500 * reads) throw new Error(`The sum is ${sum}.`)
  return tookNs / reads
}
