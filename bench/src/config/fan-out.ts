import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { openConfigAdmin } from '@holdfast/config-client'
import { redisBackend } from '@holdfast/core/redis'
import { Redis } from 'ioredis'
import type { Servers } from '../lock/servers.ts'
import { runInterleaved } from '../rounds.ts'
import { quantile } from '../statistics.ts'
import type { Measure } from '../suite.ts'
import { payload, payloadOf } from './payload.ts'
import { rows } from './rows.ts'
import { nowMs } from './shared-clock.ts'

const NAME = 'redis/publish-applied-500'
const PROCESSES = 4
const SIZE_BYTES = 10_000
const FULL = { readers: 125, rounds: 9, publishes: 6 }
const SMOKE = { readers: 5, rounds: 2, publishes: 1 }
// So many rounds, until what the readers run is compiled, and there is more of ours.
const WARM_UP = 4
// Longer than instances take to report what they applied.
const QUIET_MS = 400

/** What a process of readers is started with. */
export interface FanOutSettings {
  readonly url: string
  readonly readers: number
}

/** When each of its readers had the value, in ms by the clock that all processes share. */
export interface FanOutAnswer {
  readonly contestant: 'ours' | 'raw'
  readonly atMs: readonly number[]
}

/** From the call of publish to the value being in use by five hundred readers, in four processes: the 99th percentile. */
export const fanOut: Measure<Servers> = {
  name: NAME,
  async run(servers, { isSmoke, say }) {
    const { readers, rounds, publishes } = isSmoke ? SMOKE : FULL
    const url = await servers.addressOf('redis')
    await using writer = redisBackend({ url, prefix: 'fan-out' })
    const admin = openConfigAdmin({ backend: writer, app: 'bench', env: 'bench', namespaces: [payload] })
    const raw = new Redis(url)
    await raw.set('raw-fan-out', JSON.stringify(payloadOf(0, SIZE_BYTES)))
    await admin.publish([payload.replace(payloadOf(0, SIZE_BYTES))])
    say(`${NAME}: ${PROCESSES * readers} readers connect, twice`)
    await using crowd = await Crowd.start({ url, readers })
    let value = 0
    const runner = (contestant: FanOutAnswer['contestant']) => async () => {
      const times: number[] = []
      for (let left = publishes; left > 0; left -= 1) {
        await sleep(QUIET_MS)
        const next = (value += 1)
        const answers = crowd.answers(contestant, next)
        const sentMs = nowMs()
        if (contestant === 'ours') await admin.publish([payload.replace(payloadOf(next, SIZE_BYTES))])
        else await publishRaw(raw, next)
        for (const atMs of await answers) times.push(atMs - sentMs)
      }
      return times
    }
    for (let left = WARM_UP; left > 0; left -= 1) {
      await runner('ours')()
      await runner('raw')()
    }
    const results = await runInterleaved(
      [
        { name: 'ours', run: runner('ours') },
        { name: 'raw', run: runner('raw') },
      ],
      { rounds, slices: 1, merge: turns => turns.flat() },
    )
    raw.disconnect()
    await admin.close()
    const figure = (times: readonly number[]): number => quantile(times, 0.99)
    return [rows.compared({ name: NAME, unit: 'ms', better: 'lower' }, results, { reference: 'raw', figure })]
  },
}

/** All processes of readers. */
class Crowd implements AsyncDisposable {
  readonly #children: readonly ChildProcess[]

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children
  }

  static async start(settings: FanOutSettings): Promise<Crowd> {
    const children = Array.from({ length: PROCESSES }, () =>
      fork(new URL('./fan-out-worker.js', import.meta.url), [JSON.stringify(settings)], {
        stdio: ['ignore', 2, 2, 'ipc'],
        serialization: 'advanced',
        execArgv: [],
      }),
    )
    await Promise.all(children.map(child => once(child, 'message')))
    return new Crowd(children)
  }

  /** When each reader had the value. */
  async answers(contestant: FanOutAnswer['contestant'], value: number): Promise<readonly number[]> {
    const all = await Promise.all(
      this.#children.map(async child => {
        child.send({ contestant, value })
        const [answer] = (await once(child, 'message')) as [FanOutAnswer]
        return answer.atMs
      }),
    )
    return all.flat()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async child => {
        child.kill('SIGKILL')
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      }),
    )
  }
}

async function publishRaw(client: Redis, value: number): Promise<void> {
  const text = JSON.stringify(payloadOf(value, SIZE_BYTES))
  await client.pipeline().set('raw-fan-out', text).publish('raw-fan-out', String(value)).exec()
}
