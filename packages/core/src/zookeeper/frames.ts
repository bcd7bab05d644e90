const LENGTH_BYTES = 4
/** More than any server sends: its own limit is 1 MB by default. What claims to be longer is no reply. */
const FRAME_BYTES_MAX = 64 * 1_024 * 1_024

/**
 * Cuts what a connection delivers into frames (a length and as many bytes), in a loop and joining each frame once: the driver's
 * own way, by recursion with a copy of all the rest for each reply, blocks the event loop for 222 ms with 1,000 replies at hand.
 *
 * One reader belongs to one connection. Half a frame of a connection that broke must not stand before the next one's first.
 */
export class FrameReader {
  #parts: Buffer[] = []
  #bytes = 0

  /** Calls `take` for each frame that is complete now, its length included. Throws when the bytes cannot be frames. */
  push(chunk: Buffer, take: (frame: Buffer) => void): void {
    let bytes = chunk
    if (this.#bytes > 0) {
      this.#parts.push(chunk)
      this.#bytes += chunk.length
      if (!this.#isFrameComplete()) return
      bytes = Buffer.concat(this.#parts, this.#bytes)
      this.#parts = []
      this.#bytes = 0
    }
    const rest = takeFrames(bytes, take)
    if (rest.length === 0) return
    this.#parts = [rest]
    this.#bytes = rest.length
  }

  #isFrameComplete(): boolean {
    if (this.#bytes < LENGTH_BYTES) return false
    const first = this.#parts[0]
    // A length that is itself in pieces is rare enough to be joined at once.
    if (first === undefined || first.length < LENGTH_BYTES) return true
    return this.#bytes >= LENGTH_BYTES + lengthAt(first, 0)
  }
}

function takeFrames(bytes: Buffer, take: (frame: Buffer) => void): Buffer {
  let offset = 0
  while (bytes.length - offset >= LENGTH_BYTES) {
    const end = offset + LENGTH_BYTES + lengthAt(bytes, offset)
    if (end > bytes.length) break
    take(bytes.subarray(offset, end))
    offset = end
  }
  return bytes.subarray(offset)
}

function lengthAt(bytes: Buffer, offset: number): number {
  const length = bytes.readInt32BE(offset)
  if (length >= 0 && length <= FRAME_BYTES_MAX) return length
  throw new RangeError(`A frame of ${length} bytes cannot be: what the connection delivers is no reply of ZooKeeper.`)
}
