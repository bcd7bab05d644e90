import type { ConfigAdmin } from '@holdfast/config-client'
import { openConfigAdmin } from '@holdfast/config-client'
import type { Backend } from '@holdfast/core'
import { HoldfastError, systemClock } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { backendAt } from '../config/address.ts'
import { counter } from '../config/namespaces.ts'
import type { ConfigStage } from '../config/stage.ts'
import type { ConfigScenario, Findings, Mode } from '../scenario.ts'

const ROUNDS = 200
const CLIENTS = 4

/** Four clients publish the first release of an app at the same moment: one wins, and the others are told who. */
export const configFirstPublish: ConfigScenario = {
  name: 'config-first-publish',
  backends: ['memory', 'redis', 'zookeeper', 'postgres'],
  runs: 1,
  runMsMax: 120_000,
  play,
}

async function play(stage: ConfigStage, mode: Mode): Promise<Findings> {
  const backends = await openBackends(stage)
  const violations: string[] = []
  let conflicts = 0
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const outcomes = await stage.step(`round ${round}`, race(backends, round, mode))
      const winners = outcomes.filter(outcome => outcome === 'won').length
      conflicts += outcomes.filter(outcome => outcome === 'HF_CONFLICT').length
      const others = outcomes.filter(outcome => outcome !== 'won' && outcome !== 'HF_CONFLICT')
      if (winners !== 1) violations.push(`In round ${round} there were ${winners} winners.`)
      for (const other of others) violations.push(`In round ${round} a publish ended with ${other}.`)
    }
  } finally {
    await Promise.all(backends.map(backend => backend.close()))
  }
  return { violations, numbers: { rounds: ROUNDS, clients: CLIENTS, conflicts } }
}

async function openBackends(stage: ConfigStage): Promise<readonly Backend[]> {
  if (stage.kind === 'memory') {
    const world = new MemoryWorld(systemClock)
    return Array.from({ length: CLIENTS }, () => memoryBackend({ world }))
  }
  await stage.start({ isDurable: true })
  const backends = Array.from({ length: CLIENTS }, () => backendAt(stage.address))
  await Promise.all(backends.map(backend => backend.ready()))
  return backends
}

async function race(backends: readonly Backend[], round: number, mode: Mode): Promise<readonly string[]> {
  const admins = backends.map(backend =>
    openConfigAdmin({ backend, app: `first-${round}`, env: 'faults', namespaces: [counter] }),
  )
  const outcomes = await Promise.all(admins.map((admin, index) => publishFirst(admin, index, mode)))
  await Promise.all(admins.map(admin => admin.close()))
  return outcomes
}

async function publishFirst(admin: ConfigAdmin, index: number, mode: Mode): Promise<string> {
  const edits = [counter.replace({ value: index + 1, by: `client ${index + 1}` })]
  try {
    await admin.publish(edits, mode === 'control' ? {} : { expectedRevision: 0 })
    return 'won'
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error)
  }
}
