import type { LeaseMode } from '../ports/leases.ts'

/** One who wants a resource. */
export interface ModelRequest {
  readonly request: string
  readonly mode: LeaseMode['kind']
  /** A permit's limit; of readers and writers 1. */
  readonly capacity: number
  readonly ttl: number
}

/** One who has it. */
export interface ModelHolder extends ModelRequest {
  readonly slot: number | undefined
  readonly token: number
  readonly endsAt: number
}

/** What a step says beside its answer: who was handed the resource, and who was told that it is first, and for how long to wait. */
export interface ModelNews {
  readonly handed: readonly ModelHolder[]
  readonly told: { readonly request: string; readonly wait: number } | undefined
}

/** What the steps of shared leases mean, with nothing of how: one resource, and time that only a test moves. */
export class SharedLeaseModel {
  holders: readonly ModelHolder[] = []
  waiters: readonly ModelRequest[] = []
  readonly #claim: number
  #now = 0
  #lastToken = 0

  constructor(claim: number) {
    this.#claim = claim
  }

  /** So that no two steps are at one time. */
  tick(): void {
    this.#now += 1e-6
  }

  acquire(wish: ModelRequest, mayQueue: boolean): { readonly answer: string; readonly news: ModelNews } {
    if (this.#isAgain(wish)) return { answer: this.#grantedTo(wish.request), news: NONE }
    const news = this.#serve({ asking: wish.request, freedUntil: -Infinity })
    if (this.#find(wish.request) !== undefined) return { answer: this.#grantedTo(wish.request), news }
    if (this.waiters.length === 0 && this.#way(wish) === undefined) {
      this.#hold(wish, wish.ttl)
      return { answer: this.#grantedTo(wish.request), news }
    }
    if (!mayQueue) return { answer: 'held', news }
    const isNew = !this.waiters.some(({ request }) => request === wish.request)
    if (isNew) this.waiters = [...this.waiters, wish]
    const position = this.waiters.findIndex(({ request }) => request === wish.request)
    const wait = this.#wait(this.waiters[0] ?? wish)
    return { answer: `queued, ${position} before it, ${wait} to wait, ${isNew ? 'new' : 'known'}`, news }
  }

  release(request: string): { readonly answer: string; readonly news: ModelNews } {
    const holder = this.#find(request)
    this.holders = this.holders.filter(other => other !== holder)
    const wasFirst = this.waiters[0]?.request === request
    if (holder === undefined) this.waiters = this.waiters.filter(waiter => waiter.request !== request)
    const freedUntil = holder === undefined && wasFirst ? Infinity : (holder?.endsAt ?? -Infinity)
    return { answer: holder === undefined ? 'lost' : 'released', news: this.#serve({ asking: undefined, freedUntil }) }
  }

  downgrade(writer: string, reader: ModelRequest): { readonly answer: string; readonly news: ModelNews } {
    if (this.#isAgain(reader)) return { answer: this.#grantedTo(reader.request), news: NONE }
    const from = this.#find(writer)
    const isWriter = from?.mode === 'write'
    if (isWriter) {
      this.holders = this.holders.map(holder =>
        holder === from ? { ...from, ...reader, endsAt: this.#now + reader.ttl } : holder,
      )
    }
    const news = this.#serve({ asking: undefined, freedUntil: isWriter ? from.endsAt : -Infinity })
    return { answer: isWriter ? this.#grantedTo(reader.request) : 'lost', news }
  }

  renew(request: string, ttl: number): { readonly answer: string; readonly news: ModelNews } {
    const holder = this.#find(request)
    if (holder === undefined) return { answer: '0', news: NONE }
    this.#lastFor(holder, this.#now + ttl)
    const [first] = this.waiters
    const isTold = first !== undefined && this.#way(first) !== undefined && this.#now + ttl < holder.endsAt
    return {
      answer: '1',
      news: { handed: [], told: isTold ? { request: first.request, wait: this.#wait(first) } : undefined },
    }
  }

  /** The holder has died: nobody hands over for it. */
  expire(request: string): void {
    this.holders = this.holders.filter(holder => holder.request !== request)
  }

  #serve(step: { readonly asking: string | undefined; readonly freedUntil: number }): ModelNews {
    const handed: ModelHolder[] = []
    for (let head = this.waiters[0]; head !== undefined; head = this.waiters[0]) {
      const way = this.#way(head)
      if (way !== undefined) {
        const isNews = head.request !== step.asking && (this.#hasMoved || step.freedUntil > way)
        this.#hasMoved = false
        return { handed, told: isNews ? { request: head.request, wait: this.#wait(head) } : undefined }
      }
      this.#hasMoved = true
      this.waiters = this.waiters.slice(1)
      const isAsking = head.request === step.asking
      const holder = this.#hold(head, isAsking ? head.ttl : Math.min(head.ttl, this.#claim))
      if (!isAsking) handed.push(holder)
    }
    this.#hasMoved = false
    return { handed, told: undefined }
  }

  // Whether somebody was granted in this step: whoever is first then has not been told so.
  #hasMoved = false

  #hold(wish: ModelRequest, span: number): ModelHolder {
    if (wish.mode !== 'read') this.#lastToken += 1
    const slots = this.holders.map(({ slot }) => slot)
    let slot = 0
    while (slots.includes(slot)) slot += 1
    const holder = {
      ...wish,
      slot: wish.mode === 'permit' ? slot : undefined,
      token: this.#lastToken,
      endsAt: this.#now + span,
    }
    this.holders = [...this.holders, holder]
    return holder
  }

  // When there is room for it, should nobody release: undefined when there is now.
  #way({ mode, capacity }: ModelRequest): number | undefined {
    const inTheWay = mode === 'read' ? this.holders.filter(holder => holder.mode === 'write') : this.holders
    if (inTheWay.length < capacity) return undefined
    const ends = inTheWay.map(({ endsAt }) => endsAt).sort((a, b) => a - b)
    return ends[inTheWay.length - capacity]
  }

  #wait(wish: ModelRequest): number {
    return Math.round((this.#way(wish) ?? 0) - this.#now)
  }

  // An old question that comes late makes nothing shorter.
  #isAgain({ request, ttl }: ModelRequest): boolean {
    const holder = this.#find(request)
    if (holder !== undefined) this.#lastFor(holder, Math.max(holder.endsAt, this.#now + ttl))
    return holder !== undefined
  }

  #lastFor(holder: ModelHolder, endsAt: number): void {
    this.holders = this.holders.map(other => (other === holder ? { ...holder, endsAt } : other))
  }

  #find(request: string): ModelHolder | undefined {
    return this.holders.find(holder => holder.request === request)
  }

  #grantedTo(request: string): string {
    const holder = this.#find(request)
    return `granted ${holder?.token} ${holder?.slot ?? 'none'}`
  }
}

const NONE: ModelNews = Object.freeze({ handed: [], told: undefined })
