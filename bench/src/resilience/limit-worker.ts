import { answer, settingsOf } from '../one-answer.ts'
import type { LimitSettings } from './limit-contestants.ts'
import { LIMIT_CONTESTANTS } from './limit-contestants.ts'

/** What an instance does: asks without rest, so many at once, after a first ask and a pause. */
export interface LimitLoad extends LimitSettings {
  readonly contestant: string
  readonly inFlight: number
  readonly durationMs: number
  /** Between a first permit and the rest: for windows that begin with the first one. */
  readonly pauseMs: number
}

/** What it got. */
export interface LimitAnswer {
  /** Once it was warm, in `elapsedMs`. */
  readonly asked: number
  readonly askedInAll: number
  readonly elapsedMs: number
  /** When each permit was had, in milliseconds by the wall clock; only of loads with a small quota. */
  readonly grantedAtMs: readonly number[]
  readonly granted: number
}

const NOTED_MAX = 100_000

const { contestant, inFlight, durationMs, pauseMs, ...settings } = settingsOf<LimitLoad>()
const make = LIMIT_CONTESTANTS[contestant]
if (make === undefined) throw new Error(`There is no contestant ${contestant}.`)
await using limited = await make(settings)
const grantedAtMs: number[] = []
let granted = 0
let asked = 0
await ask()
if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
const startedMs = performance.now()
const warmUntilMs = startedMs + durationMs / 4
let askedWarm = 0
await Promise.all(Array.from({ length: inFlight }, askUntilEnd))
answer({
  asked: asked - askedWarm,
  askedInAll: asked,
  elapsedMs: performance.now() - warmUntilMs,
  granted,
  grantedAtMs,
} satisfies LimitAnswer)

async function askUntilEnd(): Promise<void> {
  for (let turn = 0; performance.now() - startedMs < durationMs; turn += 1) {
    await ask()
    if (performance.now() < warmUntilMs) askedWarm = asked
    // What is decided without I/O would keep the loop for itself.
    if (turn % 256 === 255) await new Promise(resolve => setImmediate(resolve))
  }
}

async function ask(): Promise<void> {
  asked += 1
  if (!(await limited.take())) return
  granted += 1
  if (grantedAtMs.length < NOTED_MAX) grantedAtMs.push(Date.now())
}
