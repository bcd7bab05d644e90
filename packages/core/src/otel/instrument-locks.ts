import type { Meter, Tracer } from '@opentelemetry/api'
import { metrics, trace } from '@opentelemetry/api'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import type { StaleRefusal } from '../fencing/refusal.ts'
import type { AcquireTrace } from '../lease/acquire.ts'
import type { LeaseEventMessage } from '../lease/keeper.ts'
import { show } from '../names.ts'
import { checkGivenKeys } from '../options.ts'
import { listen } from './channels.ts'
import { lockMetrics } from './lock-metrics.ts'
import { LockTelemetry } from './lock-telemetry.ts'
import type { EndedTrace } from './outcome.ts'
import { SeriesTable } from './series.ts'

/** Where telemetry of locks goes, and what is in it. */
export interface InstrumentLocksOptions {
  /** @default that of the global provider, for `@holdfast/core` */
  readonly tracer?: Tracer
  /** @default that of the global provider, for `@holdfast/core` */
  readonly meter?: Meter
  /**
   * What a span says of the name of a lock, for names that are secret or too many; undefined = nothing.
   *
   * @default the name
   */
  readonly spanResource?: (resource: string) => string | undefined
  /**
   * What metrics say of the name of a lock: one of few, such as `stock:*` for all of `stock:42`, since each is a time series of its own;
   * undefined = nothing. A held permit's name ends in its slot, as `pool#0`.
   *
   * @default nothing
   */
  readonly metricResource?: (resource: string) => string | undefined
  /** What durations are measured with. @default systemClock */
  readonly clock?: Clock
}

/** That of this package; a test holds the two together. */
export const INSTRUMENTATION: { readonly name: string; readonly version: string } = Object.freeze({
  name: '@holdfast/core',
  version: '0.1.0',
})

const KNOWN: ReadonlySet<string> = new Set(['tracer', 'meter', 'spanResource', 'metricResource', 'clock'])

/**
 * Makes spans and metrics of all locks and leases of this process, whichever backend they are of, from what the library publishes with
 * `node:diagnostics_channel`. What an exporter or a function of the options throws is reported (channel `holdfast:listener.error`), and
 * no lock hears of it. Where there is no Node it does nothing.
 *
 * The wait for a lock is a span (`holdfast.lock.acquire`) inside the active one; the lease is another (`holdfast.lock.hold`), beside it
 * and linked to it, which ends when the lease does. A lease that is nested in another is part of that, and nobody waits for it.
 *
 * @returns what ends it: all listeners are removed, spans under way end with the outcome `unknown`
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function instrumentLocks(options: InstrumentLocksOptions = {}): () => void {
  checkOptions(options)
  const { name, version } = INSTRUMENTATION
  const table = new SeriesTable()
  const measures = lockMetrics(options.meter ?? metrics.getMeter(name, version), table)
  const telemetry = new LockTelemetry({
    tracer: options.tracer ?? trace.getTracer(name, version),
    metrics: measures,
    table,
    clock: options.clock ?? systemClock,
    spanResource: options.spanResource ?? (resource => resource),
    metricResource: options.metricResource ?? (() => undefined),
  })
  const stops = [
    listen<AcquireTrace>('tracing:holdfast:lock.acquire:start', message => telemetry.waitStarted(message)),
    listen<EndedTrace>('tracing:holdfast:lock.acquire:asyncEnd', message => telemetry.waitEnded(message)),
    listen<LeaseEventMessage>('holdfast:lease.event', message => telemetry.leaseEvent(message)),
    listen<StaleRefusal>('holdfast:fence.refused', message => telemetry.refused(message)),
  ]
  return () => {
    for (const stop of stops.splice(0)) stop()
    telemetry.close()
    measures.close()
  }
}

function checkOptions(options: InstrumentLocksOptions): void {
  checkGivenKeys('instrumentLocks', options, KNOWN)
  checkHas('tracer', options.tracer, 'startSpan')
  checkHas('meter', options.meter, 'createHistogram')
  checkHas('clock', options.clock, 'monotonicMs')
  for (const name of ['spanResource', 'metricResource'] as const) {
    const given: unknown = options[name]
    if (given === undefined || typeof given === 'function') continue
    throw new InvalidArgumentError(
      name,
      `Expected \`${name}\` to be a function from a name to a label, got ${show(given)}.`,
    )
  }
}

function checkHas(name: string, value: object | null | undefined, method: string): void {
  if (value === undefined || typeof (value as Readonly<Record<string, unknown>> | null)?.[method] === 'function') return
  throw new InvalidArgumentError(name, `Expected \`${name}\` to have \`${method}\`, got ${show(value)}.`)
}
