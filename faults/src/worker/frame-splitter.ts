/** Cuts what comes over a ZooKeeper connection, in chunks of any size, into frames: four bytes of length, and as many bytes. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): readonly Buffer[] {
    const bytes = Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    let at = 0
    while (bytes.length - at >= 4 && bytes.length - at - 4 >= bytes.readInt32BE(at)) {
      const end = at + 4 + bytes.readInt32BE(at)
      frames.push(bytes.subarray(at + 4, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
    return frames
  }
}
