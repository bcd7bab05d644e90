import type { IncomingHttpHeaders } from 'node:http'
import { eventPoint, WAIT_MS } from '@holdfast/core'
import type { CallContext, CallOptions, Priority } from '../call.ts'
import { PRIORITIES } from '../call.ts'
import type { ResilienceEvent } from '../policy.ts'

/**
 * Time left for the call, in whole milliseconds. It is relative, so that no two clocks need to agree, and what the network takes is
 * not taken off: who is called has a little more time than its caller.
 */
const DEADLINE_HEADER = 'x-hf-deadline-ms'

/** The call's priority, by its name. */
const PRIORITY_HEADER = 'x-hf-priority'

/** @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md `Timeout` */
const GRPC_HEADER = 'grpc-timeout'
const GRPC_TIMEOUT = /^(\d{1,8})([HMSmun])$/
const GRPC_UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }
const WHOLE_NUMBER = /^\d{1,10}$/
// What a caller may make us write to a log.
const TOLD_CHARACTERS_MAX = 100

type AnyHeaders = Headers | IncomingHttpHeaders

const resilienceEvent = eventPoint<ResilienceEvent>('resilience.event')

/**
 * What a request says of the call that it is a part of, for `execute`: the time that its caller still waits (`x-hf-deadline-ms` or
 * `grpc-timeout`, the shorter one) and its priority (`x-hf-priority`). What cannot be read is ignored, and told to tools
 * (`headerIgnored`). Trust it from your own services only: everybody can write a header.
 *
 * @returns `timeoutMs` in [0, 2147483647], longer ones cut to that; 0 when the time is over, which `deadline()` refuses.
 */
export function callOptionsFromHeaders(headers: AnyHeaders): Pick<CallOptions, 'timeoutMs' | 'priority'> {
  const own = read(headers, DEADLINE_HEADER, wholeMs)
  const grpc = read(headers, GRPC_HEADER, grpcMs)
  const timeoutMs = Math.min(own ?? Infinity, grpc ?? Infinity, WAIT_MS.max)
  const priority = read(headers, PRIORITY_HEADER, priorityOf)
  return {
    ...(own === undefined && grpc === undefined ? {} : { timeoutMs }),
    ...(priority === undefined ? {} : { priority }),
  }
}

/**
 * The headers that tell another service of this call: what `callOptionsFromHeaders` reads there. No deadline, no header; and none
 * for the priority `normal`, which is what a call has that says nothing.
 */
export function headersOf(context: Pick<CallContext, 'remainingMs' | 'priority'>): Record<string, string> {
  const { remainingMs, priority } = context
  return {
    ...(remainingMs === Infinity ? {} : { [DEADLINE_HEADER]: String(Math.floor(remainingMs)) }),
    ...(priority === 'normal' ? {} : { [PRIORITY_HEADER]: priority }),
  }
}

function read<T>(headers: AnyHeaders, header: string, parse: (text: string) => T | undefined): T | undefined {
  const given = typeof headers.get === 'function' ? (headers as Headers).get(header) : one(headers, header)
  if (given === undefined || given === null) return undefined
  const value = parse(given.trim())
  if (value === undefined && resilienceEvent.isHeard) {
    const seen = given.slice(0, TOLD_CHARACTERS_MAX)
    resilienceEvent.publish({ event: 'headerIgnored', policy: 'deadline', rule: 'deadline', header, seen })
  }
  return value
}

// Several values say different things: as text with commas they are unreadable, which is what they are.
function one(headers: AnyHeaders, header: string): string | undefined {
  const value = (headers as IncomingHttpHeaders)[header]
  return Array.isArray(value) ? value.join(', ') : value
}

function wholeMs(text: string): number | undefined {
  return WHOLE_NUMBER.test(text) ? Number(text) : undefined
}

function grpcMs(text: string): number | undefined {
  const [, digits, unit = ''] = GRPC_TIMEOUT.exec(text) ?? []
  // Rounded up: less than a millisecond is not none.
  return digits === undefined ? undefined : Math.ceil(Number(digits) * (GRPC_UNIT_MS[unit] as number))
}

function priorityOf(text: string): Priority | undefined {
  return PRIORITIES.find(priority => priority === text.toLowerCase())
}
