// A process of readers, some ours and some raw: says when each had the value that it is asked for.
import type { Config } from '@holdfast/config-client'
import { openConfig } from '@holdfast/config-client'
import { redisBackend } from '@holdfast/core/redis'
import { Redis } from 'ioredis'
import type { FanOutAnswer, FanOutSettings } from './fan-out.ts'
import { nowMs } from './shared-clock.ts'
import type { Payload } from './payload.ts'
import { payload } from './payload.ts'

const { url, readers } = JSON.parse(process.argv[2] ?? '') as FanOutSettings
const CONNECTING_MAX = 25

/** Tells when it has all of a value. */
class Watch {
  #value = -1
  #atMs: number[] = []
  #resolve: (atMs: readonly number[]) => void = () => {}

  all(value: number): Promise<readonly number[]> {
    this.#value = value
    this.#atMs = []
    return new Promise(resolve => (this.#resolve = resolve))
  }

  seen(value: number): void {
    if (value !== this.#value) return
    this.#atMs.push(nowMs())
    if (this.#atMs.length === readers) this.#resolve(this.#atMs)
  }
}

const watches = { ours: new Watch(), raw: new Watch() }

async function openOurs(): Promise<Config> {
  const backend = redisBackend({ url, prefix: 'fan-out' })
  const config = await openConfig({
    backend,
    app: 'bench',
    env: 'bench',
    namespaces: [payload],
    startup: { timeoutMs: 30_000 },
  })
  config.live(payload).subscribe(next => watches.ours.seen(next.timeoutMs))
  return config
}

async function openRaw(): Promise<void> {
  const [reader, listener] = [new Redis(url), new Redis(url)]
  listener.on('message', () => {
    void reader.get('raw-fan-out').then(text => watches.raw.seen((JSON.parse(text ?? '') as Payload).timeoutMs))
  })
  await listener.subscribe('raw-fan-out')
}

// Some at a time: a server's queue of connections is short.
async function openAll(open: () => Promise<unknown>): Promise<void> {
  for (let left = readers; left > 0; left -= CONNECTING_MAX) {
    await Promise.all(Array.from({ length: Math.min(left, CONNECTING_MAX) }, open))
  }
}

await openAll(openOurs)
await openAll(openRaw)
process.on('message', ({ contestant, value }: { contestant: FanOutAnswer['contestant']; value: number }) => {
  void watches[contestant].all(value).then(atMs => process.send?.({ contestant, atMs } satisfies FanOutAnswer))
})
process.on('disconnect', () => process.exit(1))
process.send?.('ready')
