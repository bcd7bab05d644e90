import { setTimeout as sleep } from 'node:timers/promises'
import { churn } from './churn.ts'
import type { Desk } from './desk.ts'
import { finish } from './finish.ts'
import { PostgresLedger } from './postgres-ledger.ts'
import type { Orders } from './protocol.ts'
import { stall } from './stall.ts'
import { storm } from './storm.ts'

/** What orders work on. */
export interface Bench {
  desk: Desk
  /** Whether the process is to end by itself. */
  isLeaving: boolean
  readonly progress: (grants: number) => void
  readonly entered: (lease: string) => void
  readonly reset: () => Promise<void>
}

type OrderBook = {
  readonly [N in keyof Orders]: (bench: Bench, argument: Orders[N]['with']) => Promise<Orders[N]['answer']>
}

export const orders: OrderBook = {
  open: async ({ desk }, { client, place, lock, isReady }) => {
    await desk.open(client, place, lock)
    if (isReady) await desk.contender(client).ready()
    return undefined
  },
  acquire: async ({ desk }, { client, lease, holdMs, ...wish }) => {
    const belief = await desk.acquire(client, lease, wish)
    if (belief === undefined) return undefined
    const report = belief.report()
    if (holdMs !== undefined) void sleep(holdMs).then(() => belief.release())
    return report
  },
  report: async ({ desk }, { lease }) => desk.belief(lease).report(),
  write: async ({ desk }, { lease, isGuarded }) => {
    const { token, resource } = desk.belief(lease).held
    return await desk.ledgerOf(lease).write({ resource, token, isGuarded })
  },
  sell: async ({ desk, entered }, { lease, ...sale }) => {
    const ledger = desk.ledgerOf(lease)
    if (!(ledger instanceof PostgresLedger)) throw new Error('There is no row to lock but in PostgreSQL.')
    return await ledger.sell(desk.belief(lease).held, { ...sale, entered: () => entered(lease) })
  },
  release: async ({ desk }, { lease }) => await desk.belief(lease).release(),
  stall: async ({ desk }, { lease, stallMs }) => stall(desk.belief(lease).held, stallMs),
  churn,
  storm,
  leftovers: async ({ desk }, { resource }) => {
    const names = desk.world?.resources() ?? []
    return names.filter(name => name === resource)
  },
  finish,
  reset: async ({ reset }) => {
    await reset()
    return undefined
  },
}
