import type { Client } from '../contestants/contestant.ts'
import type { ElectionLoad } from './election.ts'
import { campaign, resign } from './election.ts'
import type { HandOffLoad, HandOffResult } from './hand-off.ts'
import { runHandOff } from './hand-off.ts'
import type { BusyLoad, HoldLoad, HoldManyLoad, WaitLoad } from './idle.ts'
import { busy, hold, holdMany, wait } from './idle.ts'
import type { UncontendedLoad, UncontendedResult } from './uncontended.ts'
import { runUncontended } from './uncontended.ts'

/** What a contestant's process is told to do. */
export type Load = UncontendedLoad | HandOffLoad | HoldLoad | HoldManyLoad | WaitLoad | BusyLoad | ElectionLoad

/** What it gives. */
export interface LoadResults {
  readonly uncontended: UncontendedResult
  readonly 'hand-off': HandOffResult
  readonly hold: null
  readonly 'hold-many': null
  readonly busy: number
  readonly wait: null
  readonly campaign: null
  readonly resign: null
}

/** Puts a load on the connections of one contestant. */
export async function runLoad(clients: readonly Client[], load: Load): Promise<LoadResults[Load['kind']]> {
  const [client] = clients
  if (client === undefined) throw new Error('Expected at least one connection.')
  switch (load.kind) {
    case 'uncontended':
      return await runUncontended(client, load)
    case 'hand-off':
      return await runHandOff(clients, load)
    case 'hold':
      return await hold(client, load)
    case 'hold-many':
      return await holdMany(client, load)
    case 'busy':
      return busy()
    case 'wait':
      return wait(client, load)
    case 'campaign':
      return await campaign(client, load)
    case 'resign':
      return await resign(client, load)
  }
}
