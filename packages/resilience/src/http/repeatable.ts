// RFC 9110 section 9.2.2.
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request may be sent again: by its method, by its idempotency key or because its caller says so; and its body can be. */
export function isRepeatable(input: string | URL | Request, init: RequestInit, isToldIdempotent = false): boolean {
  return isBodyRepeatable(input, init) && (isToldIdempotent || isIdempotent(input, init))
}

function isIdempotent(input: string | URL | Request, init: RequestInit): boolean {
  const request = input instanceof Request ? input : undefined
  const method = init.method ?? request?.method ?? 'GET'
  if (IDEMPOTENT.has(method.toUpperCase())) return true
  return new Headers(init.headers ?? request?.headers).has('idempotency-key')
}

// A `Request` reads its body as a stream, whatever it was made of.
function isBodyRepeatable(input: string | URL | Request, { body }: RequestInit): boolean {
  if (body === undefined || body === null) return !(input instanceof Request) || input.body === null
  return (
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  )
}
