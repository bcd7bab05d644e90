const BUCKETS = 60

/**
 * How many calls were sent, and accepted, within a window that moves on in sixtieths. One that was sent in the newest two of them and is
 * not answered yet does not count: nobody knows what it will be, and where many begin at once none would be accepted yet.
 */
export class AcceptWindow {
  readonly #requests: number[] = Array.from({ length: BUCKETS }, () => 0)
  readonly #accepts: number[] = Array.from({ length: BUCKETS }, () => 0)
  readonly #open: number[] = Array.from({ length: BUCKETS }, () => 0)
  readonly #bucketMs: number
  #bucket = 0
  #sent = 0
  accepts = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  get requests(): number {
    return this.#sent - this.#openIn(this.#bucket) - this.#openIn(this.#bucket - 1)
  }

  /** Drops what is older than the window: as many buckets as have gone by, however long nobody asked. */
  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    const gone = Math.min(BUCKETS, bucket - this.#bucket)
    for (let step = 1; step <= gone; step += 1) {
      const index = (bucket - gone + step) % BUCKETS
      this.#sent -= this.#requests[index] ?? 0
      this.accepts -= this.#accepts[index] ?? 0
      this.#requests[index] = 0
      this.#accepts[index] = 0
      this.#open[index] = 0
    }
    if (bucket > this.#bucket) this.#bucket = bucket
  }

  /** @returns a ticket for `answered` or `forget`. */
  asked(nowMs: number): number {
    this.advance(nowMs)
    this.#add(this.#requests, this.#bucket, 1)
    this.#add(this.#open, this.#bucket, 1)
    this.#sent += 1
    return this.#bucket
  }

  answered(ticket: number, nowMs: number, isAccepted: boolean): void {
    this.advance(nowMs)
    if (this.#openIn(ticket) > 0) this.#add(this.#open, ticket, -1)
    if (!isAccepted) return
    this.#add(this.#accepts, this.#bucket, 1)
    this.accepts += 1
  }

  /** One call says nothing after all: as if it had not been sent. */
  forget(ticket: number, nowMs: number): void {
    this.advance(nowMs)
    // It has left the window, or belongs to another one.
    if (this.#openIn(ticket) === 0) return
    this.#add(this.#open, ticket, -1)
    this.#add(this.#requests, ticket, -1)
    this.#sent -= 1
  }

  #openIn(bucket: number): number {
    if (bucket > this.#bucket || bucket <= this.#bucket - BUCKETS || bucket < 0) return 0
    return this.#open[bucket % BUCKETS] ?? 0
  }

  #add(counts: number[], bucket: number, count: number): void {
    counts[bucket % BUCKETS] = (counts[bucket % BUCKETS] ?? 0) + count
  }
}
