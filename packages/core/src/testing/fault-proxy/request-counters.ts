/** Counts the requests in what a client sends, however it is cut into chunks. One counter a connection. */
export interface RequestCounter {
  /** @returns how many requests ended in this chunk */
  count(chunk: Uint8Array): number
}

/** Which protocol a proxy counts requests of. */
export type CountedProtocol = 'redis' | 'zookeeper' | 'postgres'

export function requestCounter(protocol: CountedProtocol): RequestCounter {
  switch (protocol) {
    case 'redis':
      return new RedisRequestCounter()
    case 'zookeeper':
      return new ZooKeeperRequestCounter()
    case 'postgres':
      return new PostgresRequestCounter()
  }
}

const CR = 13
const LF = 10
const ARRAY = 42 // '*'
const BULK = 36 // '$'
const MINUS = 45
const ZERO = 48

/**
 * Counts Redis commands: arrays of bulk strings (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`), and inline commands (`PING\r\n`). An EVALSHA
 * is one, whatever its script does; each command of a pipeline or transaction is one. Nothing is kept of the contents.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec
 */
export class RedisRequestCounter implements RequestCounter {
  // Bytes of a bulk string, its line end included, that are still to come.
  #bulkLeft = 0
  // Bulk strings of an array that are still to come; 0 between commands.
  #itemsLeft = 0
  #line = new HeaderLine()

  count(chunk: Uint8Array): number {
    let requests = 0
    for (let at = 0; at < chunk.length;) {
      if (this.#bulkLeft > 0) {
        const skipped = Math.min(this.#bulkLeft, chunk.length - at)
        this.#bulkLeft -= skipped
        at += skipped
        if (this.#bulkLeft === 0 && this.#endItem()) requests += 1
      } else if (this.#line.add(chunk[at++] ?? LF)) {
        requests += this.#endLine()
      }
    }
    return requests
  }

  #endLine(): number {
    const line = this.#line
    this.#line = new HeaderLine()
    if (line.type === BULK && this.#itemsLeft > 0) {
      this.#bulkLeft = line.number + 2
      return 0
    }
    if (line.type === ARRAY) {
      // An empty array is no command: Redis passes over it.
      this.#itemsLeft = Math.max(0, line.number)
      return 0
    }
    this.#itemsLeft = 0
    return line.isEmpty ? 0 : 1
  }

  #endItem(): boolean {
    this.#itemsLeft -= 1
    return this.#itemsLeft === 0
  }
}

// The first byte and the number behind it: all that is needed of a line, so that no line can fill the memory.
class HeaderLine {
  type = 0
  #value = 0
  #sign = 1
  #length = 0

  get isEmpty(): boolean {
    return this.#length === 0
  }

  get number(): number {
    return this.#sign * this.#value
  }

  /** True when the byte ends the line. */
  add(byte: number): boolean {
    if (byte === LF) return true
    if (byte === CR) return false
    if (this.#length === 0) this.type = byte
    else if (byte === MINUS) this.#sign = -1
    else this.#value = this.#value * 10 + (byte - ZERO)
    this.#length += 1
    return false
  }
}

/**
 * Counts ZooKeeper requests: frames of a four-byte length and as many bytes. The first frame of a connection opens the session
 * and is not counted; a ping is.
 */
export class ZooKeeperRequestCounter implements RequestCounter {
  #headerLeft = 4
  #length = 0
  #bodyLeft = 0
  #isOpened = false

  count(chunk: Uint8Array): number {
    let requests = 0
    for (let at = 0; at < chunk.length;) {
      if (this.#headerLeft > 0) {
        this.#length = this.#length * 256 + (chunk[at++] ?? 0)
        this.#headerLeft -= 1
        if (this.#headerLeft === 0) this.#bodyLeft = this.#length
      } else {
        const skipped = Math.min(this.#bodyLeft, chunk.length - at)
        this.#bodyLeft -= skipped
        at += skipped
      }
      if (this.#headerLeft === 0 && this.#bodyLeft === 0) requests += this.#endFrame()
    }
    return requests
  }

  #endFrame(): number {
    this.#headerLeft = 4
    this.#length = 0
    if (this.#isOpened) return 1
    this.#isOpened = true
    return 0
  }
}

const QUERY = 81 // 'Q'
const EXECUTE = 69 // 'E'

/**
 * Counts what a PostgreSQL client has done: queries and executions. The first message of a connection has no letter before its length,
 * and is not counted; a connection that asks for TLS cannot be read.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class PostgresRequestCounter implements RequestCounter {
  #letter = 0
  #headerLeft = 4
  #length = 0
  #bodyLeft = 0

  count(chunk: Uint8Array): number {
    let requests = 0
    for (let at = 0; at < chunk.length;) {
      if (this.#headerLeft === 5) {
        this.#letter = chunk[at++] ?? 0
        this.#headerLeft -= 1
      } else if (this.#headerLeft > 0) {
        this.#length = this.#length * 256 + (chunk[at++] ?? 0)
        this.#headerLeft -= 1
        // The length counts itself.
        if (this.#headerLeft === 0) this.#bodyLeft = this.#length - 4
      } else {
        const skipped = Math.min(this.#bodyLeft, chunk.length - at)
        this.#bodyLeft -= skipped
        at += skipped
      }
      if (this.#headerLeft === 0 && this.#bodyLeft === 0) requests += this.#endMessage()
    }
    return requests
  }

  #endMessage(): number {
    const isRequest = this.#letter === QUERY || this.#letter === EXECUTE
    this.#headerLeft = 5
    this.#length = 0
    return isRequest ? 1 : 0
  }
}
