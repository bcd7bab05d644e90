import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { Clock, Timer } from '@holdfast/core'
import { show } from '@holdfast/core'
import { onResponseClose } from '../http/response-close.ts'
import type { Answer } from './http-answer.ts'
import { BODY_BYTES_MAX, keptHeaders } from './http-answer.ts'

/** How long a handler may go on when its client is gone, before its run counts as abandoned. */
const ABANDONED_MS = 600_000
const METHODS = ['writeHead', 'write', 'end', 'flushHeaders', 'destroy'] as const
const FACTS = ['headersSent', 'writableEnded', 'finished'] as const

type Chunk = string | Uint8Array
type Written = (error?: Error | null) => void

/**
 * Holds back what a handler writes to a response until it has ended it, so that nothing goes out before it is kept. Where that gets larger
 * than what is kept, it goes out as it comes.
 */
export class ResponseCapture {
  /** What the handler answered. Rejects when it destroyed the response, or when it never ends it and its client is gone. */
  readonly answer: Promise<Answer>
  readonly #response: ServerResponse
  readonly #keepsCookies: boolean
  readonly #original: ReadonlyMap<string, PropertyDescriptor | undefined>
  /** What stood there before: it is of this request, and not a part of what is kept. */
  readonly #before: ReadonlyMap<string, string>
  #isGone = false
  readonly #chunks: Uint8Array[] = []
  readonly #written: Written[] = []
  #sizeBytes = 0
  #isBegun = false
  #isEnded = false
  #isPassing = false
  #answered: Answer | undefined
  #resolve: (answer: Answer) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  #abandoned: Timer | undefined

  constructor(response: ServerResponse, settings: { readonly clock: Clock; readonly keepsCookies: boolean }) {
    this.#response = response
    this.#keepsCookies = settings.keepsCookies
    this.#original = new Map(
      [...METHODS, ...FACTS].map(name => [name, Object.getOwnPropertyDescriptor(response, name)]),
    )
    this.#before = headersOf(response)
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.answer.catch(() => {})
    onResponseClose(response.req, response, () => {
      if (this.#isEnded) return
      this.#isGone = true
      const abandon = (): void => this.fail(new Error('The client is gone, and the handler did not end the response.'))
      this.#abandoned = settings.clock.setTimer(abandon, ABANDONED_MS)
    })
    this.#hold()
  }

  /** Whether it is what the handler wrote. */
  wrote(answer: Answer): boolean {
    return this.#answered === answer
  }

  /** The handler says that it is done: if it has not ended the response, and its client is gone, it never will. */
  returned(): void {
    if (this.#isGone && !this.#isEnded)
      this.fail(new Error('The client is gone, and the handler did not end the response.'))
  }

  /** The handler failed: nothing more is held back. */
  fail(error: unknown): void {
    this.#restore()
    this.#reject(error)
  }

  /** Sends what the handler wrote. */
  send(): void {
    this.#restore()
    if (this.#isPassing) return
    const { length } = this.#chunks
    if (this.#written.length > 0) this.#response.once('finish', () => this.#written.forEach(written => written()))
    if (length === 0) this.#response.end()
    else this.#response.end(Buffer.concat(this.#chunks))
  }

  /** Forgets what the handler wrote, so that something else can be sent; the headers are as they were before. */
  drop(): void {
    this.#restore()
    for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name)
    for (const [name, values] of this.#before) this.#response.setHeader(name, valuesOf(values))
  }

  #hold(): void {
    const response = this.#response
    const methods = {
      writeHead: (status: number, ...rest: readonly unknown[]) => this.#writeHead(status, rest),
      write: (chunk: Chunk, ...rest: readonly unknown[]) => this.#write(chunk, rest),
      end: (...rest: readonly unknown[]) => this.#end(rest),
      flushHeaders: () => void (this.#isBegun = true),
      destroy: (error?: Error) => this.#destroyed(error),
    }
    for (const [name, value] of Object.entries(methods)) define(response, name, { value, writable: true })
    define(response, 'headersSent', { get: () => this.#isBegun })
    define(response, 'writableEnded', { get: () => this.#isEnded })
    define(response, 'finished', { get: () => this.#isEnded })
  }

  #restore(): void {
    this.#abandoned?.cancel()
    for (const [name, descriptor] of this.#original) {
      if (descriptor === undefined) Reflect.deleteProperty(this.#response, name)
      else Object.defineProperty(this.#response, name, descriptor)
    }
  }

  #writeHead(status: number, rest: readonly unknown[]): ServerResponse {
    const response = this.#response
    response.statusCode = checkedStatus(status)
    const [first, second] = rest
    if (typeof first === 'string') response.statusMessage = first
    setHeaders(response, typeof first === 'string' ? second : first)
    this.#isBegun = true
    return response
  }

  #write(chunk: Chunk, rest: readonly unknown[]): boolean {
    const { encoding, written } = writtenWith(rest)
    // What comes after the end is not a part of what is kept, so it must not be sent either.
    if (this.#isEnded) {
      if (written !== undefined) process.nextTick(written, new Error('The response has ended.'))
      return false
    }
    this.#isBegun = true
    this.#take(chunk, encoding)
    if (written !== undefined) process.nextTick(written)
    return this.#sizeBytes <= BODY_BYTES_MAX || this.#pass()
  }

  // From here on it goes out as it comes; only its end is still of interest.
  #pass(): boolean {
    const response = this.#response
    this.#restore()
    this.#isPassing = true
    const end = (...rest: readonly unknown[]): ServerResponse => {
      Reflect.deleteProperty(response, 'end')
      this.#restore()
      this.#isEnded = true
      this.#answered = this.#kept()
      this.#resolve(this.#answered)
      return (response.end as (...given: readonly unknown[]) => ServerResponse)(...rest)
    }
    define(response, 'end', { value: end, writable: true })
    define(response, 'destroy', { value: (error?: Error) => this.#destroyed(error), writable: true })
    return response.write(Buffer.concat(this.#chunks.splice(0)))
  }

  #destroyed(error: Error | undefined): ServerResponse {
    this.fail(error ?? new Error('The handler destroyed the response.'))
    return this.#response.destroy(error)
  }

  #end(rest: readonly unknown[]): ServerResponse {
    const [chunk] = rest
    const hasChunk = typeof chunk === 'string' || chunk instanceof Uint8Array
    const { encoding, written } = writtenWith(hasChunk ? rest.slice(1) : rest)
    if (this.#isEnded) return this.#response
    this.#response.statusCode = checkedStatus(this.#response.statusCode)
    if (hasChunk) this.#take(chunk, encoding)
    this.#isBegun = true
    this.#isEnded = true
    if (written !== undefined) this.#written.push(written)
    this.#answered = this.#kept()
    this.#resolve(this.#answered)
    return this.#response
  }

  #take(chunk: Chunk, encoding: BufferEncoding | undefined): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk.slice()
    this.#sizeBytes += bytes.length
    this.#chunks.push(bytes)
  }

  #kept(): Answer {
    const own: (readonly [name: string, value: string])[] = []
    for (const [name, values] of headersOf(this.#response)) {
      if (this.#before.get(name) !== values) own.push(...valuesOf(values).map(value => [name, value] as const))
    }
    const body = this.#sizeBytes > BODY_BYTES_MAX ? undefined : Buffer.concat(this.#chunks)
    const headers = keptHeaders(own, { keepsCookies: this.#keepsCookies })
    return { status: this.#response.statusCode, headers, body, isReplayed: false }
  }
}

/** As Node takes it. What Node refuses is refused here, where the handler hears of it: once it is kept, nobody could be answered with it. */
function checkedStatus(status: unknown): number {
  const whole = Math.trunc(Number(status))
  if (whole >= 100 && whole <= 999) return whole
  throw new RangeError(`Expected the status of a response to be a number from 100 to 999, got ${show(status)}.`)
}

function define(response: ServerResponse, name: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(response, name, { ...descriptor, configurable: true, enumerable: false })
}

/** Each header by its name in lower case, its values as JSON, so that they can be compared. */
function headersOf(response: ServerResponse): ReadonlyMap<string, string> {
  return new Map(Object.entries(response.getHeaders()).map(([name, value]) => [name, JSON.stringify([value].flat())]))
}

function valuesOf(json: string): readonly string[] {
  return (JSON.parse(json) as readonly unknown[]).map(String)
}

// As `writeHead` takes them: an object, or a list in which each name stands before its value.
function setHeaders(response: ServerResponse, headers: unknown): void {
  if (Array.isArray(headers)) {
    const words: readonly unknown[] = headers.flat()
    const names = new Set<string>()
    for (let at = 0; at + 1 < words.length; at += 2) {
      const [name, value] = [String(words[at]), words[at + 1] as string]
      if (names.has(name.toLowerCase())) response.appendHeader(name, value)
      else response.setHeader(name, value)
      names.add(name.toLowerCase())
    }
    return
  }
  for (const [name, value] of Object.entries((headers ?? {}) as Readonly<Record<string, OutgoingHttpHeader>>)) {
    if (value !== undefined) response.setHeader(name, value)
  }
}

/** What `write` and `end` can be given behind the chunk: an encoding, a callback, or both. */
function writtenWith(rest: readonly unknown[]): {
  readonly encoding: BufferEncoding | undefined
  readonly written: Written | undefined
} {
  const encoding = rest.find(one => typeof one === 'string') as BufferEncoding | undefined
  const written = rest.find(one => typeof one === 'function') as Written | undefined
  return { encoding, written }
}
