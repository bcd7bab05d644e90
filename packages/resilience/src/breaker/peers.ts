import type { EphemeralRecord } from '@holdfast/core'
import type { CircuitState } from './state.ts'

/** What an instance says of its circuit: what it found for itself, never what it does because of others. */
export interface PeerState {
  readonly state: CircuitState['kind']
  /** How many times it opened by what it saw itself, since its start. */
  readonly opened: number
  /** How many times in a row, without closing. */
  readonly openings: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const HEALTHY: PeerState = Object.freeze({ state: 'closed', opened: 0, openings: 0 })
const STATES: readonly unknown[] = ['closed', 'open', 'half-open', 'isolated'] satisfies CircuitState['kind'][]

export function encodePeer(peer: PeerState): Uint8Array {
  return encoder.encode(JSON.stringify(peer))
}

/** What nobody can read says nothing against what is called. */
export function decodePeer(value: Uint8Array): PeerState {
  try {
    const { state, opened, openings } = JSON.parse(decoder.decode(value)) as Readonly<Record<string, unknown>>
    if (STATES.includes(state) && Number.isInteger(opened) && Number.isInteger(openings)) {
      return { state, opened, openings } as PeerState
    }
  } catch {
    // Another version's, or not ours.
  }
  return HEALTHY
}

/** What became of the trial calls of others since the last look. */
export interface PeerTrials {
  readonly succeeded: boolean
  /** How many times in a row the circuit of the one with the most has opened; undefined where no trial has failed. */
  readonly failedOpenings: number | undefined
}

/**
 * The other instances of a shared circuit, as they were seen last. An opening counts as evidence until this instance has closed by a
 * trial of its own: it has seen better since. What was open before this instance came counts for nothing either.
 */
export class Peers {
  // By owner: an instance that was started anew is another one.
  #seen: ReadonlyMap<string, PeerState> = new Map()
  #outdated: ReadonlyMap<string, number> = new Map()
  #isFirstLook = true

  /** How many there are. */
  get count(): number {
    return this.#seen.size
  }

  look(records: ReadonlyMap<string, EphemeralRecord>, self: string): PeerTrials {
    const before = this.#seen
    const seen = new Map<string, PeerState>()
    for (const record of records.values()) {
      if (record.id !== self) seen.set(record.owner, decodePeer(record.value))
    }
    this.#seen = seen
    if (this.#isFirstLook) this.outdate()
    this.#isFirstLook = false
    return trialsBetween(before, seen)
  }

  /** What stands open now is no evidence any more. */
  outdate(): void {
    this.#outdated = new Map([...this.#seen].map(([owner, { opened }]) => [owner, opened]))
  }

  /** How many have it open, or half-open, by what they found themselves. */
  get open(): number {
    let open = 0
    for (const [owner, peer] of this.#seen) {
      const isOpen = peer.state === 'open' || peer.state === 'half-open'
      if (isOpen && this.#outdated.get(owner) !== peer.opened) open += 1
    }
    return open
  }
}

function trialsBetween(before: ReadonlyMap<string, PeerState>, now: ReadonlyMap<string, PeerState>): PeerTrials {
  let succeeded = false
  let failedOpenings: number | undefined
  for (const [owner, peer] of now) {
    const last = before.get(owner)
    if (last === undefined || last.state === 'closed' || last.state === 'isolated') continue
    if (peer.state === 'closed') succeeded = true
    else if (peer.opened > last.opened) failedOpenings = Math.max(failedOpenings ?? 0, peer.openings)
  }
  return { succeeded, failedOpenings }
}

/** Whether so many are enough: the ratio of all, this instance included, and never one alone. */
export function isQuorum(open: number, all: number, quorum: number): boolean {
  // A tenth of a millionth for what `0.7 * 10` is short of 7, or over it.
  return open >= 2 && open >= quorum * all - 1e-7
}
