import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Clock } from '../clock.ts'
import type { DirectoryListener } from '../ports/records.ts'
import { withAlteredRecords } from '../testing/conformance/altered-records.fixture.ts'
import type { Random } from '../random.ts'
import { seededRandom } from '../random.ts'
import type { RecordHarness } from '../testing/index.ts'
import { SimulatedClock, recordConformance } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

const RECONNECT_MS = 20
const HOP_MS_MAX = 10

/** What tells a client of changes: there is no link that could break, so this stands in for one. */
class Notices {
  readonly #clock: Clock
  readonly #listeners = new Set<DirectoryListener>()
  #isMuffled = false
  #isDown = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  carry(backend: Backend): Backend {
    return withAlteredRecords(backend, records => ({
      listen: (directory, listener) => {
        this.#listeners.add(listener)
        const subscription = records.listen(directory, {
          changed: commit => this.#isMuffled || this.#isDown || listener.changed(commit),
          live: () => this.#isMuffled || this.#isDown || listener.live(),
          down: cause => listener.down(cause),
        })
        const close = (): void => {
          this.#listeners.delete(listener)
          subscription.close()
        }
        return { close, [Symbol.dispose]: close }
      },
    }))
  }

  muffle(): () => Promise<void> {
    this.#isMuffled = true
    return async () => void (this.#isMuffled = false)
  }

  cut(): void {
    this.#isDown = true
    for (const listener of this.#listeners) listener.down(new Error('The test cut the link.'))
    const reconnect = (): void => {
      this.#isDown = false
      for (const listener of this.#listeners) listener.live()
    }
    this.#clock.setTimer(reconnect, RECONNECT_MS)
  }
}

/** Every call takes its time to the store, and its answer takes as long again. */
function overSlowLink(backend: Backend, random: Random): Backend {
  const hop = (): Promise<void> =>
    new Promise(resolve => void backend.clock.setTimer(resolve, random.next() * HOP_MS_MAX, { background: false }))
  const slowly = async <T>(call: () => Promise<T>): Promise<T> => {
    await hop()
    return call().finally(hop)
  }
  return withAlteredRecords(backend, records => ({
    read: (request, signal) => slowly(() => records.read(request, signal)),
    commit: (commit, signal) => slowly(() => records.commit(commit, signal)),
    join: (request, signal) => slowly(() => records.join(request, signal)),
    beat: (request, value) => slowly(() => records.beat(request, value)),
    leave: request => slowly(() => records.leave(request)),
  }))
}

function harness(clock: SimulatedClock, link: 'direct' | 'slow'): RecordHarness {
  const world = new MemoryWorld(clock)
  const { directories } = world
  const notices = new WeakMap<Backend, Notices>()
  const random = seededRandom(42)
  return {
    openBackend: async () => {
      const carrier = new Notices(clock)
      const client = carrier.carry(memoryBackend({ world }))
      const backend = link === 'slow' ? overSlowLink(client, random) : client
      notices.set(backend, carrier)
      return backend
    },
    directory: () => randomUUID(),
    advance: ms => clock.advance(ms),
    ttlMs: 5_000,
    slackMs: link === 'slow' ? 4 * HOP_MS_MAX : 0,
    leftovers: async directory => directories.leftovers(directory),
    loseData: { kind: 'supported', run: async directory => directories.lose(directory) },
    backUp: {
      kind: 'supported',
      run: async directory => {
        const restore = directories.backUp(directory)
        return async () => restore()
      },
    },
    cut: { kind: 'supported', run: async backend => notices.get(backend)?.cut() },
    muffle: { kind: 'supported', run: async backend => notices.get(backend)?.muffle() ?? (async () => {}) },
    silence: { kind: 'unsupported', why: 'there is no link' },
    restart: { kind: 'unsupported', why: 'the data is gone only when its clients are' },
    endSession: { kind: 'unsupported', why: 'there are no sessions' },
  }
}

describe.each(['direct', 'slow'] as const)('Records in memory, over a link that is %s', link => {
  const clock = new SimulatedClock()
  for (const { promise, name, run } of recordConformance(harness(clock, link))) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
      await clock.advance(RECONNECT_MS)
      expect(clock.pendingTimers).toBe(0)
    })
  }
})
