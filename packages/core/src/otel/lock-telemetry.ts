import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import { SpanStatusCode, context } from '@opentelemetry/api'
import type { Clock } from '../clock.ts'
import type { FencingToken } from '../fencing/token.ts'
import type { StaleRefusal } from '../fencing/refusal.ts'
import type { AcquireTrace } from '../lease/acquire.ts'
import type { LeaseEventMessage } from '../lease/keeper.ts'
import { reportListenerRejection } from '../telemetry.ts'
import { attempt } from './channels.ts'
import type { LockMetrics } from './lock-metrics.ts'
import type { EndedTrace, WaitOutcome } from './outcome.ts'
import { errorTypeOf, outcomeOf } from './outcome.ts'
import type { Series, SeriesTable } from './series.ts'

/** What telemetry is written with. */
export interface LockTelemetryParts {
  readonly tracer: Tracer
  readonly metrics: LockMetrics
  readonly table: SeriesTable
  readonly clock: Clock
  readonly spanResource: (resource: string) => string | undefined
  readonly metricResource: (resource: string) => string | undefined
}

/** Who waits. */
interface Wait {
  readonly sinceMs: number
  /** Of the caller. */
  readonly context: Context
  readonly span: Span | undefined
  readonly series: Series
}

/** What is held; its context is the caller's, as that of the wait before it. */
type Hold = Wait

type LeaseMessage = Exclude<LeaseEventMessage, { readonly event: 'renewFailed' }>
type End = { readonly kind: 'released' | 'unknown' } | { readonly kind: 'lost'; readonly reason: string }

/** Turns what the channels say into spans and metrics. */
export class LockTelemetry {
  readonly #parts: LockTelemetryParts
  readonly #waits = new Map<string, Wait>()
  readonly #holds = new Map<string, Hold>()

  constructor(parts: LockTelemetryParts) {
    this.#parts = parts
  }

  waitStarted(trace: AcquireTrace): void {
    const { clock, tracer } = this.#parts
    const series = this.#seriesOf(trace)
    const of = context.active()
    const span = attempt(() =>
      tracer.startSpan('holdfast.lock.acquire', { attributes: this.#spanAttributes(trace) }, of),
    )
    this.#waits.set(trace.leaseId, { sinceMs: clock.monotonicMs(), context: of, span, series })
    series.waiting += 1
  }

  waitEnded(ended: EndedTrace): void {
    this.#endWait(ended.leaseId, outcomeOf(ended))
  }

  leaseEvent(message: LeaseEventMessage): void {
    const { metrics } = this.#parts
    switch (message.event) {
      case 'granted':
        return this.#granted(message)
      case 'released':
        return this.#endHold(message.leaseId, { kind: 'released' })
      case 'lost':
        metrics.lost(1, { ...this.#knownSeriesOf(message).attributes, 'holdfast.lock.lost_reason': message.reason })
        return this.#endHold(message.leaseId, { kind: 'lost', reason: message.reason })
      case 'renewed': {
        const { attributes } = this.#knownSeriesOf(message)
        const slackSeconds = message.slackMs / 1_000
        return metrics.renewalSlack(slackSeconds, { ...attributes, 'holdfast.lock.provisional': message.isProvisional })
      }
      case 'renewFailed': {
        const { backend, leases, error } = message
        return metrics.renewalFailures(leases, { 'holdfast.backend': backend, 'error.type': errorTypeOf(error) })
      }
    }
  }

  refused({ guard, resource }: StaleRefusal): void {
    const label = this.#labelOf('metricResource', resource)
    const named = label === undefined ? undefined : { 'holdfast.lock.resource': label }
    this.#parts.metrics.refused(1, { 'holdfast.guard': guard, ...named })
  }

  /** Ends what is under way: nobody will say how it ended. */
  close(): void {
    for (const leaseId of [...this.#waits.keys()]) this.#endWait(leaseId, { kind: 'unknown' })
    for (const leaseId of [...this.#holds.keys()]) this.#endHold(leaseId, { kind: 'unknown' })
  }

  #endWait(leaseId: string, outcome: WaitOutcome): void {
    const wait = this.#waits.get(leaseId)
    if (wait === undefined) return
    this.#waits.delete(leaseId)
    const { metrics, clock } = this.#parts
    wait.series.waiting -= 1
    const errorType = 'errorType' in outcome ? { 'error.type': outcome.errorType } : undefined
    const what = { 'holdfast.lock.outcome': outcome.kind, ...errorType }
    if (outcome.kind !== 'unknown') {
      metrics.waitDuration(secondsSince(clock, wait), { ...wait.series.attributes, ...what }, wait.context)
    }
    attempt(() => {
      wait.span?.setAttributes(what)
      // Without a message: it has the name of the lock in it, which the user may want to keep out.
      if (errorType !== undefined) wait.span?.setStatus({ code: SpanStatusCode.ERROR })
      wait.span?.end()
    })
  }

  #granted(message: LeaseMessage): void {
    const { leaseId, token } = message
    const { clock, metrics, tracer } = this.#parts
    // Of a lease that was taken up again, by the process that had it.
    this.#endHold(leaseId, { kind: 'unknown' })
    const wait = this.#waits.get(leaseId)
    const series = this.#seriesOf(message)
    const of = wait?.context ?? context.active()
    const span = attempt(() => {
      wait?.span?.setAttribute('holdfast.lock.token', token.toString())
      const links = wait?.span === undefined ? [] : [{ context: wait.span.spanContext() }]
      return tracer.startSpan('holdfast.lock.hold', { attributes: this.#spanAttributes(message), links }, of)
    })
    this.#holds.set(leaseId, { sinceMs: clock.monotonicMs(), context: of, span, series })
    series.held += 1
    metrics.granted(1, series.attributes, of)
  }

  #endHold(leaseId: string, end: End): void {
    const hold = this.#holds.get(leaseId)
    if (hold === undefined) return
    this.#holds.delete(leaseId)
    const { metrics, clock } = this.#parts
    hold.series.held -= 1
    const reason = end.kind === 'lost' ? { 'holdfast.lock.lost_reason': end.reason } : undefined
    const what = { 'holdfast.lock.end': end.kind, ...reason }
    if (end.kind !== 'unknown') {
      metrics.holdDuration(secondsSince(clock, hold), { ...hold.series.attributes, ...what }, hold.context)
    }
    attempt(() => {
      hold.span?.setAttributes(what)
      if (reason !== undefined) hold.span?.setStatus({ code: SpanStatusCode.ERROR })
      hold.span?.end()
    })
  }

  /** As at the grant; of a lease that was granted before anybody listened, by what its event says. */
  #knownSeriesOf(message: LeaseMessage): Series {
    return this.#holds.get(message.leaseId)?.series ?? this.#seriesOf(message)
  }

  #seriesOf({ backend, mode, resource }: Named): Series {
    return this.#parts.table.of({ backend, mode, label: this.#labelOf('metricResource', resource) })
  }

  #spanAttributes({ backend, mode, resource, token }: Named & { readonly token?: FencingToken }): Attributes {
    const attributes: Attributes = { 'holdfast.backend': backend, 'holdfast.lock.mode': mode }
    const label = this.#labelOf('spanResource', resource)
    if (label !== undefined) attributes['holdfast.lock.resource'] = label
    if (token !== undefined) attributes['holdfast.lock.token'] = token.toString()
    return attributes
  }

  #labelOf(by: 'spanResource' | 'metricResource', resource: string): string | undefined {
    const label: unknown = attempt(() => this.#parts[by](resource))
    if (typeof label === 'string') return label
    reportListenerRejection('otel', label)
    return undefined
  }
}

interface Named {
  readonly backend: string
  readonly mode: string
  readonly resource: string
}

function secondsSince(clock: Clock, { sinceMs }: Wait): number {
  return (clock.monotonicMs() - sinceMs) / 1_000
}
