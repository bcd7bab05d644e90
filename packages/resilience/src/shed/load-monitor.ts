import type { IntervalHistogram } from 'node:perf_hooks'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, Timer } from '@holdfast/core'
import { cpuLimit } from './cpu-limit.ts'

/** How this process felt over the last interval. */
export interface LoadSample {
  /** By how much a timer came late, the median, in milliseconds: what everything that happens in the loop waits. */
  readonly loopDelayMs: number
  /** CPU time used, of what the process may use (its cgroup's quota, else one of each CPU), smoothed; 0 to 1. */
  readonly cpuRatio: number
}

/** Where samples come from. Tests pass their own. */
export interface LoadSource {
  /** What happened since it was asked last. */
  sample(): LoadSample
  close(): void
}

export const SAMPLE_MS = 100
const RESOLUTION_MS = 10
const NS_PER_MS = 1_000_000
// As go-kratos/aegis smooths it, for samples five times as frequent.
const CPU_DECAY = 0.99

/** The process itself, by Node's own measures. */
export class ProcessLoad implements LoadSource {
  readonly #clock: Clock
  readonly #cpus: number
  readonly #delays: IntervalHistogram
  #cpuRatio = 0
  #atMs: number
  #cpuUs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#cpus = cpuLimit()
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#delays.enable()
    this.#atMs = clock.monotonicMs()
    this.#cpuUs = cpuTimeUs()
  }

  sample(): LoadSample {
    const atMs = this.#clock.monotonicMs()
    const cpuUs = cpuTimeUs()
    const elapsedMs = Math.max(1, atMs - this.#atMs)
    const used = Math.min(1, (cpuUs - this.#cpuUs) / 1_000 / elapsedMs / this.#cpus)
    const decay = Math.pow(CPU_DECAY, elapsedMs / 10)
    this.#cpuRatio = this.#cpuRatio * decay + used * (1 - decay)
    this.#atMs = atMs
    this.#cpuUs = cpuUs
    // An idle loop reads its resolution. While the loop stands still nothing is counted: then the time itself is the sample.
    const median =
      this.#delays.count > 0 ? this.#delays.percentile(50) / NS_PER_MS - RESOLUTION_MS : elapsedMs - SAMPLE_MS
    this.#delays.reset()
    return { loopDelayMs: Math.max(0, median), cpuRatio: this.#cpuRatio }
  }

  close(): void {
    this.#delays.disable()
  }
}

function cpuTimeUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Samples a source every 100 ms for all who follow it; while nobody does it stands still. */
export class LoadMonitor {
  readonly #clock: Clock
  readonly #open: () => LoadSource
  readonly #followers = new Set<(sample: LoadSample) => void>()
  #source: LoadSource | undefined
  #timer: Timer | undefined

  constructor(clock: Clock, open: () => LoadSource) {
    this.#clock = clock
    this.#open = open
  }

  /** @returns ends it. */
  follow(follower: (sample: LoadSample) => void): () => void {
    this.#followers.add(follower)
    this.#source ??= this.#open()
    this.#timer ??= this.#next()
    return () => {
      this.#followers.delete(follower)
      if (this.#followers.size === 0) this.#stop()
    }
  }

  #next(): Timer {
    return this.#clock.setTimer(() => {
      this.#timer = this.#next()
      const sample = this.#source?.sample()
      if (sample !== undefined) for (const follower of this.#followers) follower(sample)
    }, SAMPLE_MS)
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#source?.close()
    this.#source = undefined
  }
}

const monitors = new WeakMap<Clock, LoadMonitor>()

/** The monitor that all policies of a clock share. */
export function processMonitor(clock: Clock): LoadMonitor {
  const known = monitors.get(clock)
  if (known !== undefined) return known
  const monitor = new LoadMonitor(clock, () => new ProcessLoad(clock))
  monitors.set(clock, monitor)
  return monitor
}
