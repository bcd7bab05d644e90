/** What the node of a record holds: the commit that wrote it, a line's end, the value. */
export function encodeRecord(commit: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${commit}\n`), value])
}

/** A record's version, which is the commit that wrote it, and its value. */
export function decodeRecord(data: Buffer): { readonly version: string; readonly value: Uint8Array } {
  const end = data.indexOf('\n')
  return { version: data.toString('utf8', 0, end), value: data.subarray(end + 1) }
}
