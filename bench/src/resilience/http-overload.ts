import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Measured } from '../row.ts'
import { place } from '../lock/placement.ts'
import { quantile } from '../statistics.ts'
import type { Measure } from '../suite.ts'
import type { HttpServerSettings } from './http-server.ts'
import type { HttpEnd } from './http-visits.ts'
import { HttpVisits } from './http-visits.ts'
import { rows } from './rows.ts'

const NAME = 'http-overload'
const WORK_MS = 5
const LOAD = 3
const FULL = { rounds: 3, saturateMs: 4_000, warmMs: 2_000, crowdMs: 8_000 }
const SMOKE = { rounds: 1, saturateMs: 200, warmMs: 100, crowdMs: 200 }

interface Sizes {
  readonly rounds: number
  readonly saturateMs: number
  readonly warmMs: number
  readonly crowdMs: number
}

interface Crowd {
  readonly saturation: number
  readonly goodput: number
  readonly ends: readonly HttpEnd[]
}

/**
 * A server that three times as many requests come to as it can serve, over connections that stay open: how much of what it can serve is
 * served, beside the same server without protection.
 */
export const httpOverload: Measure<unknown> = {
  name: NAME,
  async run(_, { isSmoke }) {
    const sizes = isSmoke ? SMOKE : FULL
    const ours: Crowd[] = []
    const unprotected: Crowd[] = []
    for (let round = 0; round < sizes.rounds; round += 1) {
      ours.push(await crowded(true, sizes))
      unprotected.push(await crowded(false, sizes))
    }
    return rowsOf(ours, unprotected)
  },
}

function rowsOf(ours: readonly Crowd[], unprotected: readonly Crowd[]): readonly Measured[] {
  const ofBoth = (figure: (crowds: readonly Crowd[]) => number): ReadonlyMap<string, number> =>
    new Map([
      ['ours', figure(ours)],
      ['unprotected', figure(unprotected)],
    ])
  const details = {
    'saturation, requests/s': Object.fromEntries(ofBoth(saturationOf)),
    'served, p99 ms': Object.fromEntries(ofBoth(slowestMs)),
    'refused of all': Object.fromEntries(ofBoth(crowds => shareOf(crowds, 'refused'))),
    'out of patience of all': Object.fromEntries(ofBoth(crowds => shareOf(crowds, 'late'))),
  }
  const goodput = ofBoth(crowds => Math.min(...crowds.map(crowd => crowd.goodput / crowd.saturation)))
  const broken = ofBoth(crowds => count(crowds, 'failed') + count(crowds, 'rude'))
  return [
    { ...rows.absolute({ name: NAME, unit: 'of saturation, worst round', better: 'higher' }, goodput), details },
    rows.absolute(
      { name: `${NAME}:broken`, unit: 'socket errors and refusals without Retry-After', better: 'lower' },
      broken,
    ),
  ]
}

function saturationOf(crowds: readonly Crowd[]): number {
  return quantile(
    crowds.map(({ saturation }) => saturation),
    0.5,
  )
}

function slowestMs(crowds: readonly Crowd[]): number {
  return quantile(
    crowds.flatMap(({ ends }) => ends.flatMap(end => (end.kind === 'served' ? [end.tookMs] : []))),
    0.99,
  )
}

function shareOf(crowds: readonly Crowd[], kind: HttpEnd['kind']): number {
  return count(crowds, kind) / crowds.reduce((sum, { ends }) => sum + ends.length, 0)
}

function count(crowds: readonly Crowd[], kind: HttpEnd['kind']): number {
  return crowds.reduce((sum, { ends }) => sum + ends.filter(end => end.kind === kind).length, 0)
}

async function crowded(isProtected: boolean, sizes: Sizes): Promise<Crowd> {
  const server = await startServer({ isProtected, workMs: WORK_MS })
  const visits = new HttpVisits(server.port)
  try {
    const saturation = await visits.saturate(sizes.saturateMs)
    const perSecond = saturation * LOAD
    await visits.come(perSecond, sizes.warmMs)
    visits.forget()
    await visits.come(perSecond, sizes.crowdMs)
    // As it is now: those that are under way when we leave are nobody's fault.
    const ends = [...visits.ended]
    const served = ends.filter(({ kind }) => kind === 'served').length
    return { saturation, goodput: (served / sizes.crowdMs) * 1_000, ends }
  } finally {
    visits.leave()
    await server.stop()
  }
}

async function startServer(
  settings: HttpServerSettings,
): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> {
  const child: ChildProcess = fork(new URL('./http-server.js', import.meta.url), [JSON.stringify(settings)], {
    stdio: ['ignore', 2, 2, 'ipc'],
    execArgv: [],
  })
  const [port] = (await once(child, 'message')) as [number]
  place('server', child.pid)
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    // Its connections are closing.
    await sleep(100)
  }
  return { port, stop }
}
