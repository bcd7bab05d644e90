/** An HTTP response as it is kept. */
export interface Answer {
  readonly status: number
  /** Names in lower case; a header that was sent several times stands several times. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Undefined where it was too large to be kept. */
  readonly body: Uint8Array | undefined
  /** Whether it is that of an earlier request. */
  readonly isReplayed: boolean
}

/** The largest body that is kept; with its headers it fits into what a store takes. */
export const BODY_BYTES_MAX: number = 240 * 1024
const HEADER_BYTES_MAX = 15 * 1024

/** What marks a response that was replayed. */
export const REPLAYED_HEADER = 'Idempotency-Replayed'

// Of one connection, or one moment; the length is that of the body.
const NOT_KEPT: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Which headers of a response are kept: not those of its connection, its date, or, unless asked for, its cookies. */
export function keptHeaders(
  headers: Iterable<readonly [name: string, value: string]>,
  { keepsCookies }: { readonly keepsCookies: boolean },
): Answer['headers'] {
  const all = [...headers].map(([name, value]) => [name.toLowerCase(), value] as const)
  const named = all
    .filter(([name]) => name === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(/\s*,\s*/))
  const dropped = new Set([...NOT_KEPT, ...named, ...(keepsCookies ? [] : ['set-cookie'])])
  return all.filter(([name]) => !dropped.has(name))
}

/** As bytes: the length of what is JSON, that, and the body as it is. */
export function encodeAnswer(value: unknown): Uint8Array {
  const { status, headers, body } = value as Answer
  const isTooLarge = body === undefined || body.length > BODY_BYTES_MAX
  const head = new TextEncoder().encode(JSON.stringify({ status, headers, isTooLarge }))
  // Its headers are worth nothing without it, and its status says what a client has to know.
  if (head.length > HEADER_BYTES_MAX) return encodeAnswer({ status, headers: [], body: undefined })
  const kept = isTooLarge ? new Uint8Array(0) : body
  const bytes = new Uint8Array(4 + head.length + kept.length)
  new DataView(bytes.buffer).setUint32(0, head.length)
  bytes.set(head, 4)
  bytes.set(kept, 4 + head.length)
  return bytes
}

export function decodeAnswer(bytes: Uint8Array): Answer {
  const headEnd = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, headEnd))) as {
    readonly status: number
    readonly headers: Answer['headers']
    readonly isTooLarge: boolean
  }
  const body = head.isTooLarge ? undefined : bytes.slice(headEnd)
  return { status: head.status, headers: head.headers, body, isReplayed: true }
}
