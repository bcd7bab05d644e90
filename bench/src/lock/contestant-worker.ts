// The process of one contestant: connects as its one argument says, then runs loads as it is told, until its parent goes.
import type { Client } from './contestants/contestant.ts'
import { CONTESTANTS } from './contestants/index.ts'
import type { ContestantSettings, WorkerAnswer } from './contestant-process.ts'
import type { Load } from './loads/load.ts'
import { runLoad } from './loads/load.ts'

const settings = JSON.parse(process.argv[2] ?? '') as ContestantSettings

process.on('disconnect', () => process.exit())
process.on('message', (load: Load) => void answer(async () => runLoad(await clients, load)))

const clients = connect(settings)
void answer(async () => {
  await clients
  return null
})

async function connect({
  store,
  contestant,
  address,
  connections,
  names,
  ttlMs,
}: ContestantSettings): Promise<Client[]> {
  const load = CONTESTANTS[store][contestant]
  if (load === undefined) throw new Error(`There is no contestant ${contestant} on ${store}.`)
  const { connect: open } = await load()
  const all = await Promise.all(Array.from({ length: connections }, () => open(address, ttlMs)))
  for (const name of names) await all[0]?.prepare?.(name)
  return all
}

async function answer(work: () => Promise<unknown>): Promise<void> {
  process.send?.(await outcomeOf(work))
}

async function outcomeOf(work: () => Promise<unknown>): Promise<WorkerAnswer> {
  try {
    return { kind: 'done', result: await work() }
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
