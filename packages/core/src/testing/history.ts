/** What one holder believed: it held the resource from when it learned of it until its own deadline, or until it gave it back. */
export interface HoldEvent {
  readonly kind: 'hold'
  readonly resource: string
  /** For messages. */
  readonly holder: string
  readonly token: bigint
  /** When the grant was handed out, by a clock that all holders share. */
  readonly acquiredAtMs: number
  /** When the holder called release, or when its lease ended: its deadline after the last renewal. */
  readonly validUntilMs: number
}

/** A write to the protected resource, and what became of it. Writes of a resource stand in the order in which it took them. */
export interface WriteEvent {
  readonly kind: 'write'
  readonly resource: string
  readonly token: bigint
  readonly outcome: 'accepted' | 'refused'
}

/** What happened, as all taking part saw it. Only the order of writes of one resource matters. */
export type HistoryEvent = HoldEvent | WriteEvent

/** A promise that was broken, and by what. */
export type Violation =
  | { readonly kind: 'overlap'; readonly first: HoldEvent; readonly second: HoldEvent; readonly overlapMs: number }
  | { readonly kind: 'token-not-greater'; readonly first: HoldEvent; readonly second: HoldEvent }
  | { readonly kind: 'stale-accepted'; readonly write: WriteEvent; readonly newest: bigint }

/**
 * Looks for violations: two holds of one resource that overlap (L1), a grant whose token is not greater than that of an
 * earlier one (L2), and a write that was accepted after one with a greater token. Holds are half-open: one may begin at the
 * instant when another ends. A hold that was over when it was handed out is passed over: nobody could act on it.
 */
export function checkHistory(events: readonly HistoryEvent[]): readonly Violation[] {
  const holds = new Map<string, HoldEvent[]>()
  const writes = new Map<string, WriteEvent[]>()
  for (const event of events) {
    if (event.kind === 'hold') {
      if (event.validUntilMs > event.acquiredAtMs) listOf(holds, event.resource).push(event)
    } else listOf(writes, event.resource).push(event)
  }
  return [
    ...[...holds.values()].flatMap(ofOne => [...overlaps(ofOne), ...tokensNotGreater(ofOne)]),
    ...[...writes.values()].flatMap(ofOne => staleWrites(ofOne)),
  ]
}

/** A violation in a sentence. */
export function describeViolation(violation: Violation): string {
  switch (violation.kind) {
    case 'overlap': {
      const { first, second, overlapMs } = violation
      return `${show(second)} began ${overlapMs} ms before ${show(first)} ended.`
    }
    case 'token-not-greater':
      return `${show(violation.second)} came after ${show(violation.first)}, and its token is not greater.`
    case 'stale-accepted': {
      const { write, newest } = violation
      return `A write to "${write.resource}" with the token ${write.token} was accepted after one with ${newest}.`
    }
  }
}

function overlaps(holds: readonly HoldEvent[]): Violation[] {
  const found: Violation[] = []
  let latest: HoldEvent | undefined
  for (const hold of inOrder(holds)) {
    if (latest !== undefined && hold.acquiredAtMs < latest.validUntilMs) {
      const overlapMs = Math.min(latest.validUntilMs, hold.validUntilMs) - hold.acquiredAtMs
      found.push({ kind: 'overlap', first: latest, second: hold, overlapMs })
    }
    if (latest === undefined || hold.validUntilMs > latest.validUntilMs) latest = hold
  }
  return found
}

function tokensNotGreater(holds: readonly HoldEvent[]): Violation[] {
  const found: Violation[] = []
  let greatest: HoldEvent | undefined
  for (const hold of inOrder(holds)) {
    if (greatest !== undefined && hold.token <= greatest.token) {
      found.push({ kind: 'token-not-greater', first: greatest, second: hold })
    } else {
      greatest = hold
    }
  }
  return found
}

function staleWrites(writes: readonly WriteEvent[]): Violation[] {
  const found: Violation[] = []
  let newest = -1n
  for (const write of writes) {
    if (write.outcome === 'refused') continue
    if (write.token < newest) found.push({ kind: 'stale-accepted', write, newest })
    else newest = write.token
  }
  return found
}

// Holds that were handed out in one instant stand in the order of their tokens: the clock cannot tell which came first.
function inOrder(holds: readonly HoldEvent[]): readonly HoldEvent[] {
  return holds.toSorted((a, b) => a.acquiredAtMs - b.acquiredAtMs || (a.token < b.token ? -1 : 1))
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const known = lists.get(key)
  if (known !== undefined) return known
  const fresh: T[] = []
  lists.set(key, fresh)
  return fresh
}

function show(hold: HoldEvent): string {
  return `the hold of "${hold.resource}" by ${hold.holder} with the token ${hold.token}`
}
