import type { LeaseGuarantee } from '@holdfast/core'
import type { Happening } from './happening.ts'

/**
 * How a worker is.
 *
 * - `away`: not here yet, or between two customers
 * - `stopped`: stands still, and the lock is still its own
 * - `lapsed`: stands still, and the lock has gone to another
 * - `late`: goes on, and does not know that the lock has gone to another
 */
export type LaneState = 'away' | 'waiting' | 'holding' | 'stopped' | 'lapsed' | 'late' | 'killed' | 'done'

/** What is worth a mark on a worker's lane: a write refused as stale, a stale write accepted, its death. */
export type Mark = 'refused' | 'overwrote' | 'killed'

/** From `fromMs` until the next one. */
export interface Span {
  readonly state: LaneState
  readonly fromMs: number
}

/** What became of one worker, over time. */
export interface Lane {
  readonly worker: number
  readonly spans: readonly Span[]
  readonly marks: readonly { readonly mark: Mark; readonly atMs: number }[]
  readonly sold: number
}

/** How a line of the account is meant: as usual, as trouble, as trouble averted, as damage. */
export type Tone = 'usual' | 'trouble' | 'averted' | 'damage'

export interface Line {
  readonly atMs: number
  readonly worker: number
  readonly text: string
  readonly tone: Tone
}

interface WritableLane extends Lane {
  readonly spans: Span[]
  readonly marks: { readonly mark: Mark; readonly atMs: number }[]
  sold: number
}

interface Turn {
  readonly worker: number
  readonly token: bigint
  /** When it wrote, as far as that is known. */
  endedMs: number | undefined
}

/** What the happenings mean when they are told in order: who holds, what each hand-off took, what a fault did. */
export class Account {
  readonly lanes: readonly Lane[]
  readonly lines: Line[] = []
  /** The tokens of all grants, in their order. */
  readonly tokens: bigint[] = []
  /** From one worker's last act under the lock to the next one's first. */
  readonly handOffsMs: number[] = []
  /** From a fault that struck a holder to the next one's first act. */
  readonly takeOversMs: number[] = []
  left: number
  sold = 0
  refused = 0
  overwrites = 0
  startedMs: number | undefined
  /** When the latest thing happened. */
  latestMs: number | undefined
  /** What the last lease promised. */
  guarantee: LeaseGuarantee | undefined
  readonly #lanes: readonly WritableLane[]
  #turn: Turn | undefined
  #struckMs: number | undefined
  #reached: string | undefined

  constructor(stock: number, workers: number) {
    this.left = stock
    this.#lanes = Array.from({ length: workers }, (_, index) => ({ worker: index + 1, spans: [], marks: [], sold: 0 }))
    this.lanes = this.#lanes
  }

  /** Who holds the lock now, by what is known. */
  get holder(): number | undefined {
    return this.#turn?.endedMs === undefined ? this.#turn?.worker : undefined
  }

  add(happening: Happening): void {
    const lane = this.#lanes[happening.worker - 1]
    if (lane === undefined) return
    this.latestMs = happening.atMs
    switch (happening.kind) {
      case 'ready':
        return
      case 'asked':
        this.startedMs ??= happening.atMs
        return enter(lane, 'waiting', happening.atMs)
      case 'granted':
        return this.#grant(lane, happening)
      case 'read':
        return
      case 'sold':
        return this.#sell(lane, happening)
      case 'refused':
        return this.#refuse(lane, happening)
      case 'stopped':
      case 'killed':
        return this.#strike(lane, happening)
      case 'continued':
        return this.#goOn(lane, happening)
      case 'done':
        return enter(lane, 'done', happening.atMs)
      case 'failed':
        return this.#say(happening, `failed: ${happening.reason}`, 'damage')
    }
  }

  #grant(lane: WritableLane, { atMs, token, guarantee }: Happening & { readonly kind: 'granted' }): void {
    this.#reached = this.#howReached(lane, atMs)
    const previous = this.#turn === undefined ? undefined : this.#lanes[this.#turn.worker - 1]
    if (previous !== undefined && stateOf(previous) === 'stopped') enter(previous, 'lapsed', atMs)
    this.tokens.push(token)
    this.guarantee = guarantee
    this.#turn = { worker: lane.worker, token, endedMs: undefined }
    enter(lane, 'holding', atMs)
  }

  // Also measures: a hand-off only where the next one was waiting already, a take-over only where the last one was struck.
  #howReached(lane: WritableLane, atMs: number): string | undefined {
    const previous = this.#turn
    if (previous === undefined || previous.worker === lane.worker) return undefined
    if (this.#struckMs !== undefined) {
      const tookMs = atMs - this.#struckMs
      this.#struckMs = undefined
      this.takeOversMs.push(tookMs)
      this.#say(
        { worker: lane.worker, atMs },
        `takes over after ${seconds(tookMs)}: the lease of worker ${previous.worker} has ended`,
        'trouble',
      )
      return undefined
    }
    if (previous.endedMs === undefined || (lane.spans.at(-1)?.fromMs ?? Infinity) > previous.endedMs) return undefined
    const tookMs = atMs - previous.endedMs
    this.handOffsMs.push(tookMs)
    return `${tookMs.toFixed(1)} ms after worker ${previous.worker}`
  }

  #sell(lane: WritableLane, happening: Happening & { readonly kind: 'sold' }): void {
    const { atMs, token, left } = happening
    const before = this.left
    lane.sold += 1
    this.sold += 1
    this.left = left
    enter(lane, 'away', atMs)
    if (this.#turn !== undefined && token < this.#turn.token) {
      this.overwrites += 1
      lane.marks.push({ mark: 'overwrote', atMs })
      return this.#say(
        happening,
        `wrote ${left} left over ${before}: a stale write that nobody refused  (token ${token})`,
        'damage',
      )
    }
    if (this.#turn?.token === token) this.#turn.endedMs = atMs
    const reached = this.#reached === undefined ? '' : `, ${this.#reached}`
    this.#say(happening, `sold one, ${left} left  (token ${token}${reached})`, 'usual')
  }

  #refuse(lane: WritableLane, happening: Happening & { readonly kind: 'refused' }): void {
    this.refused += 1
    lane.marks.push({ mark: 'refused', atMs: happening.atMs })
    enter(lane, 'away', happening.atMs)
    this.#say(happening, `would write ${happening.left} left: REFUSED, token ${happening.token} is stale`, 'averted')
  }

  #strike(lane: WritableLane, happening: Happening & { readonly kind: 'stopped' | 'killed' }): void {
    const { kind, atMs } = happening
    this.#struckMs = atMs
    enter(lane, kind, atMs)
    if (kind === 'killed') lane.marks.push({ mark: 'killed', atMs })
    this.#say(happening, `is ${kind} while it holds the lock`, 'trouble')
  }

  #goOn(lane: WritableLane, happening: Happening): void {
    const isLate = stateOf(lane) === 'lapsed'
    enter(lane, isLate ? 'late' : 'holding', happening.atMs)
    this.#say(happening, isLate ? 'goes on, as if the lock were still its own' : 'goes on', 'trouble')
  }

  #say({ atMs, worker }: { readonly atMs: number; readonly worker: number }, text: string, tone: Tone): void {
    this.lines.push({ atMs, worker, text, tone })
  }
}

/** How a worker is now. */
export function stateOf(lane: Lane): LaneState {
  return lane.spans.at(-1)?.state ?? 'away'
}

function enter(lane: WritableLane, state: LaneState, fromMs: number): void {
  lane.spans.push({ state, fromMs })
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}
