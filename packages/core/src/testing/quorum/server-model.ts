import { FencingToken } from '../../fencing/token.ts'
import type { LeaseHolder } from '../../ports/leases.ts'
import type { Ballot, VoteAnswer, VoteRef } from '../../quorum/node.ts'

/** What a server knows of one resource. */
interface Register {
  readonly token: number
  readonly vote: { readonly requestId: string; readonly sinceUs: number; readonly ttlMs: number } | undefined
  readonly endsUs: number
}

/** What a server has in its memory, and a snapshot of it on disk. */
export interface ServerData {
  readonly marker: { readonly identity: string; readonly sinceUs: number } | undefined
  readonly registers: ReadonlyMap<string, Register>
}

const EMPTY: ServerData = { marker: undefined, registers: new Map() }

/** How a server of the model behaves. */
export interface ServerModelSettings {
  readonly name: string
  /** Its own wall clock, in µs. */
  readonly nowUs: () => number
  readonly quarantineMs: number
  readonly keepMs: number
}

/**
 * One Redis of a quorum, as its scripts make it (`redis/quorum/scripts`): a test holds the two together. It can crash, be emptied and be
 * started with an older snapshot, as real ones can.
 */
export class ServerModel {
  readonly name: string
  readonly #settings: ServerModelSettings
  #data: ServerData = EMPTY
  #lives = 1

  constructor(settings: ServerModelSettings) {
    this.name = settings.name
    this.#settings = settings
  }

  /** What would be on disk if it was saved now. */
  snapshot(): ServerData {
    return { marker: this.#data.marker, registers: new Map(this.#data.registers) }
  }

  /** Starts anew, with what was on disk. */
  restart(data: ServerData = EMPTY): void {
    this.#lives += 1
    this.#data = data
  }

  /** FLUSHALL. */
  wipe(): void {
    this.#data = EMPTY
  }

  /** Lets it vote at once, as `admitRedisQuorum` does with a new set. */
  admit(): void {
    this.#data = { ...this.#data, marker: { identity: this.#identity, sinceUs: 0 } }
  }

  vote({ resource, requestId, ttlMs, isFenced }: Ballot): VoteAnswer {
    const nowUs = this.#settings.nowUs()
    const quarantineMs = this.#quarantineMs(nowUs)
    if (quarantineMs > 0) return { kind: 'quarantined', remainingMs: quarantineMs }
    const known = this.#registerOf(resource, nowUs)
    const vote = known?.vote
    const leftMs = vote === undefined ? 0 : vote.ttlMs - (nowUs - vote.sinceUs) / 1_000
    if (vote !== undefined && leftMs > 0 && vote.requestId !== requestId) {
      return { kind: 'held', by: vote.requestId, remainingMs: Math.ceil(leftMs) }
    }
    // An old question that comes late: what was made longer since stays so.
    if (known !== undefined && leftMs > ttlMs) return yes(known.token)
    const highest = known?.token ?? 0
    const token = isFenced ? Math.max(highest + 1, nowUs) : highest
    this.#write(resource, { token, vote: { requestId, sinceUs: nowUs, ttlMs }, endsUs: this.#endsUs(nowUs, ttlMs) })
    return yes(token)
  }

  raise({ resource, requestId }: VoteRef, token: string): boolean {
    const known = this.#registerOf(resource, this.#settings.nowUs())
    if (known?.vote?.requestId !== requestId) return false
    this.#write(resource, { ...known, token: Math.max(known.token, Number(token)) })
    return true
  }

  renew({ resource, requestId }: VoteRef, ttlMs: number): boolean {
    const nowUs = this.#settings.nowUs()
    const known = this.#registerOf(resource, nowUs)
    if (known?.vote?.requestId !== requestId) return false
    if (known.vote.sinceUs + known.vote.ttlMs * 1_000 <= nowUs) return false
    const vote = { requestId, sinceUs: nowUs, ttlMs }
    this.#write(resource, { ...known, vote, endsUs: this.#endsUs(nowUs, ttlMs) })
    return true
  }

  withdraw({ resource, requestId }: VoteRef): boolean {
    const known = this.#registerOf(resource, this.#settings.nowUs())
    if (known?.vote?.requestId !== requestId) return false
    // A register that was never written is not kept.
    this.#write(resource, known.token === 0 ? undefined : { ...known, vote: undefined })
    return true
  }

  inspect(resource: string): LeaseHolder | undefined {
    const nowUs = this.#settings.nowUs()
    const known = this.#registerOf(resource, nowUs)
    if (known?.vote === undefined) return undefined
    const { requestId, ttlMs, sinceUs } = known.vote
    const remainingMs = ttlMs - (nowUs - sinceUs) / 1_000
    if (remainingMs <= 0) return undefined
    const token = new FencingToken(BigInt(known.token))
    return { requestId, mode: 'exclusive', meta: {}, token, slot: undefined, heldMs: undefined, remainingMs }
  }

  get #identity(): string {
    return `${this.name}#${this.#lives}`
  }

  #quarantineMs(nowUs: number): number {
    const { marker } = this.#data
    const known = marker?.identity === this.#identity ? marker : { identity: this.#identity, sinceUs: nowUs }
    this.#data = { ...this.#data, marker: known }
    return Math.ceil(this.#settings.quarantineMs - (nowUs - known.sinceUs) / 1_000)
  }

  #registerOf(resource: string, nowUs: number): Register | undefined {
    const known = this.#data.registers.get(resource)
    return known !== undefined && known.endsUs > nowUs ? known : undefined
  }

  #endsUs(nowUs: number, ttlMs: number): number {
    return nowUs + (ttlMs + this.#settings.keepMs) * 1_000
  }

  #write(resource: string, register: Register | undefined): void {
    const registers = new Map(this.#data.registers)
    if (register === undefined) registers.delete(resource)
    else registers.set(resource, register)
    this.#data = { ...this.#data, registers }
  }
}

function yes(token: number): VoteAnswer {
  return { kind: 'yes', token: String(token).padStart(20, '0') }
}
