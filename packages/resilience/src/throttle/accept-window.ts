const BUCKETS = 60

/** How many calls were sent, and accepted, within a window that moves on in sixtieths. */
export class AcceptWindow {
  readonly #requests: number[] = Array.from({ length: BUCKETS }, () => 0)
  readonly #accepts: number[] = Array.from({ length: BUCKETS }, () => 0)
  readonly #bucketMs: number
  #bucket = 0
  requests = 0
  accepts = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  /** Drops what is older than the window: as many buckets as have gone by, however long nobody asked. */
  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    const gone = Math.min(BUCKETS, bucket - this.#bucket)
    for (let step = 1; step <= gone; step += 1) {
      const index = (bucket - gone + step) % BUCKETS
      this.requests -= this.#requests[index] ?? 0
      this.accepts -= this.#accepts[index] ?? 0
      this.#requests[index] = 0
      this.#accepts[index] = 0
    }
    if (bucket > this.#bucket) this.#bucket = bucket
  }

  /** @returns a ticket for `forget`. */
  asked(nowMs: number): number {
    this.advance(nowMs)
    this.#requests[this.#bucket % BUCKETS] = (this.#requests[this.#bucket % BUCKETS] ?? 0) + 1
    this.requests += 1
    return this.#bucket
  }

  accepted(nowMs: number): void {
    this.advance(nowMs)
    this.#accepts[this.#bucket % BUCKETS] = (this.#accepts[this.#bucket % BUCKETS] ?? 0) + 1
    this.accepts += 1
  }

  /** One call says nothing after all: as if it had not been sent. */
  forget(ticket: number, nowMs: number): void {
    this.advance(nowMs)
    const count = this.#requests[ticket % BUCKETS] ?? 0
    // It has left the window, or belongs to another one.
    if (ticket > this.#bucket || ticket <= this.#bucket - BUCKETS || count === 0) return
    this.#requests[ticket % BUCKETS] = count - 1
    this.requests -= 1
  }
}
