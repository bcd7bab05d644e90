// The encoding of ZooKeeper's protocol, as far as the adapter needs it: big-endian numbers, and text and bytes behind their
// length. We write requests and read replies ourselves: what the driver has for it turns version 0 into "any" in a transaction,
// throws on null data and on error codes that it does not know, and has neither containers nor sync.

const HEADER_BYTES = 12

/** What the driver wants of a request: it sets `xid` when it sends. */
export interface DriverRequest {
  readonly header: { xid: number; readonly type: number }
  toBuffer(): Buffer
}

/** A request, being written into one buffer of the right size. */
export class RequestWriter implements DriverRequest {
  readonly header: { xid: number; readonly type: number }
  readonly #bytes: Buffer
  #offset = HEADER_BYTES

  constructor(type: number, payloadBytes: number) {
    this.header = { xid: 0, type }
    this.#bytes = Buffer.allocUnsafe(HEADER_BYTES + payloadBytes)
    this.#bytes.writeInt32BE(HEADER_BYTES - 4 + payloadBytes, 0)
    this.#bytes.writeInt32BE(type, 8)
  }

  /** What goes over the wire. */
  get sizeBytes(): number {
    return this.#bytes.length
  }

  toBuffer(): Buffer {
    this.#bytes.writeInt32BE(this.header.xid, 4)
    return this.#bytes
  }

  int(value: number): this {
    this.#offset = this.#bytes.writeInt32BE(value, this.#offset)
    return this
  }

  flag(value: boolean): this {
    this.#offset = this.#bytes.writeUInt8(value ? 1 : 0, this.#offset)
    return this
  }

  text(value: string): this {
    const written = this.#bytes.write(value, this.#offset + 4, 'utf8')
    this.#bytes.writeInt32BE(written, this.#offset)
    this.#offset += 4 + written
    return this
  }

  bytes(value: Uint8Array): this {
    this.int(value.length)
    return this.raw(value)
  }

  raw(value: Uint8Array): this {
    this.#bytes.set(value, this.#offset)
    this.#offset += value.length
    return this
  }
}

/** How many bytes `text` takes in a request. */
export function textBytes(value: string): number {
  return 4 + Buffer.byteLength(value)
}

/** What ZooKeeper knows of a node, as far as the adapter looks at it. */
export interface Stat {
  /** The transaction that created it. */
  readonly czxid: bigint
  /** The last one that wrote its data. */
  readonly mzxid: bigint
  /** The last one that created or deleted a child of it. */
  readonly pzxid: bigint
  /** When its data was last written, by the leader's clock, in milliseconds since 1970. */
  readonly mtimeMs: number
  /** 0 for a node that is not ephemeral. */
  readonly ephemeralOwner: bigint
  readonly version: number
  readonly childCount: number
}

const STAT_BYTES = 68

/** Reads a reply from front to back. Reading past its end throws a RangeError. */
export class ReplyReader {
  readonly #bytes: Buffer
  #offset: number

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes
    this.#offset = offset
  }

  int(): number {
    const value = this.#bytes.readInt32BE(this.#offset)
    this.#offset += 4
    return value
  }

  flag(): boolean {
    const value = this.#bytes.readUInt8(this.#offset)
    this.#offset += 1
    return value !== 0
  }

  text(): string {
    const slice = this.#slice()
    return slice.toString('utf8')
  }

  /** A copy: the frame it stands in is not kept alive by it. */
  bytes(): Buffer {
    return Buffer.from(this.#slice())
  }

  texts(): string[] {
    const count = this.int()
    const texts: string[] = []
    for (let index = 0; index < count; index++) texts.push(this.text())
    return texts
  }

  stat(): Stat {
    const at = this.#offset
    this.#offset += STAT_BYTES
    return {
      czxid: this.#bytes.readBigInt64BE(at),
      mzxid: this.#bytes.readBigInt64BE(at + 8),
      mtimeMs: Number(this.#bytes.readBigInt64BE(at + 24)),
      version: this.#bytes.readInt32BE(at + 32),
      ephemeralOwner: this.#bytes.readBigInt64BE(at + 44),
      childCount: this.#bytes.readInt32BE(at + 56),
      pzxid: this.#bytes.readBigInt64BE(at + 60),
    }
  }

  #slice(): Buffer {
    const length = this.int()
    // -1 stands for null, which we read as nothing.
    if (length <= 0) return this.#bytes.subarray(0, 0)
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new RangeError(`The reply ends before the ${length} bytes it announces.`)
    const slice = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return slice
  }
}
