/** What the node of a record holds: the commit that wrote it, a line's end, the value. */
export function encodeRecord(commit: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${commit}\n`), value])
}

/** A record's version, which is the commit that wrote it. */
export function versionOf(data: Buffer): string {
  return data.toString('utf8', 0, data.indexOf('\n'))
}

/** A record's value: bytes of its own. */
export function valueOf(data: Buffer): Uint8Array {
  return new Uint8Array(data.subarray(data.indexOf('\n') + 1))
}
