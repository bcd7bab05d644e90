import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { Watchdog } from './watchdog.ts'

interface Watched {
  readonly clock: SimulatedClock
  readonly watchdog: Watchdog
  readonly silences: number[]
}

function watched(): Watched {
  const clock = new SimulatedClock()
  const silences: number[] = []
  const watchdog = new Watchdog(clock, silentMs => silences.push(silentMs))
  watchdog.start(1_000)
  return { clock, watchdog, silences }
}

describe('Watchdog', () => {
  it('calls once after half the timeout without a word', async () => {
    const { clock, silences } = watched()
    await clock.advance(499)
    expect(silences).toEqual([])
    await clock.advance(50)
    expect(silences).toEqual([520])
    await clock.advance(5_000)
    expect(silences).toHaveLength(1)
  })

  it('is quiet while something is heard', async () => {
    const { clock, watchdog, silences } = watched()
    for (let round = 0; round < 20; round++) {
      await clock.advance(400)
      watchdog.heard()
    }
    expect(silences).toEqual([])
    await clock.advance(530)
    expect(silences).toHaveLength(1)
  })

  it('does not take a stall of the event loop for silence: what came meanwhile is read first', async () => {
    const { clock, watchdog, silences } = watched()
    clock.stall(2_000)
    await clock.advance(1)
    expect(silences).toEqual([])
    watchdog.heard()
    await clock.advance(400)
    expect(silences).toEqual([])
  })

  it('leaves no timer when it is stopped', async () => {
    const { clock, watchdog, silences } = watched()
    watchdog.stop()
    await clock.advance(5_000)
    expect(silences).toEqual([])
  })
})
