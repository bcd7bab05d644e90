import { InvalidArgumentError } from '../../errors.ts'
import { show } from '../../names.ts'
import type { HoldEvent } from '../history.ts'
import type { SimulatedFault } from './faults.ts'

/**
 * What a process believed of one lease, as it could see it at the port: from when the grant was handed to it until it called release,
 * its own deadline passed, the store said that it was lost, or the process died. Of a permit, `resource` is that of its slot.
 */
export interface SimulatedHold extends HoldEvent {
  readonly mode: 'exclusive' | 'read' | 'write' | 'permit'
  readonly end: 'released' | 'expired' | 'lost' | 'killed' | 'open'
}

/** A grant, when the store made it. */
export interface SimulatedGrant {
  readonly kind: 'grant'
  readonly atMs: number
  readonly resource: string
  /** The request. */
  readonly to: string
  readonly mode: 'exclusive' | 'read' | 'write' | 'permit'
  /** Of permits: how many there are. */
  readonly limit: number | undefined
  readonly slot: number | undefined
  readonly token: bigint
}

/** A write that reached a register. */
export interface SimulatedWrite {
  readonly kind: 'write'
  readonly atMs: number
  readonly register: string
  readonly by: string
  readonly value: number
  /** The resource of the lease, and its token. Undefined when nothing guarded it. */
  readonly lock: string | undefined
  readonly token: bigint | undefined
  /** Which version its writer had read before; undefined when it had read none. */
  readonly basedOn: number | undefined
  /** The version that it found. */
  readonly version: number
  readonly outcome: 'accepted' | 'refused'
}

/** Something that a process wrote into the history itself. */
export interface SimulatedNote {
  readonly kind: 'note'
  readonly atMs: number
  readonly by: string
  readonly what: string
}

/** Something that went wrong: `where` is a process, a link or the store. */
export interface SimulatedIncident {
  readonly kind: 'incident'
  readonly atMs: number
  readonly fault: SimulatedFault
  readonly where: string
}

/** What happened in a simulation. Times are true ones, in milliseconds since its start. */
export type SimulationEvent = SimulatedHold | SimulatedGrant | SimulatedWrite | SimulatedNote | SimulatedIncident

/** When it happened. */
export function timeOf(event: SimulationEvent): number {
  return event.kind === 'hold' ? event.acquiredAtMs : event.atMs
}

/**
 * One line for each event, in order: the same run has the same text.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function describeEvents(events: readonly SimulationEvent[]): string {
  const given: unknown = events
  if (!Array.isArray(given)) {
    throw new InvalidArgumentError('events', `Expected \`events\` to be the events of a report, got ${show(given)}.`)
  }
  return events.map(event => `${timeOf(event).toFixed(3).padStart(12)}  ${textOf(event)}`).join('\n')
}

function textOf(event: SimulationEvent): string {
  switch (event.kind) {
    case 'hold': {
      const { holder, resource, mode, token, validUntilMs, end } = event
      return `${holder} holds ${resource} (${mode}, token ${token}) until ${validUntilMs.toFixed(3)}: ${end}`
    }
    case 'grant':
      return `store grants ${event.resource} (${event.mode}, token ${event.token}) to ${event.to}`
    case 'write': {
      const { by, register, value, token, basedOn, version, outcome } = event
      const how = token === undefined ? 'unguarded' : `token ${token}`
      return `${by} writes ${value} to ${register} (${how}, read version ${basedOn ?? 'none'}, found ${version}): ${outcome}`
    }
    case 'note':
      return `${event.by}: ${event.what}`
    case 'incident':
      return `${event.where}: ${event.fault}`
  }
}
