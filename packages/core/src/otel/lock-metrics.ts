import type { Attributes, Context, Meter, MetricOptions, ObservableCallback } from '@opentelemetry/api'
import { attempt } from './channels.ts'
import type { SeriesTable } from './series.ts'

type Recorder = (value: number, attributes: Attributes, context?: Context) => void

/** The instruments, each as a function that never throws. Durations are in seconds, as OpenTelemetry wants them. */
export interface LockMetrics {
  readonly waitDuration: Recorder
  readonly holdDuration: Recorder
  readonly renewalSlack: Recorder
  readonly granted: Recorder
  readonly lost: Recorder
  readonly renewalFailures: Recorder
  readonly refused: Recorder
  /** Lets go of what is asked at each collection. */
  close(): void
}

// From what a store on the same host takes to the longest that people watch a graph for. The SDK's own bounds are made for milliseconds.
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const DURATION: MetricOptions = { unit: 's', advice: { explicitBucketBoundaries: SECONDS } }

/** Makes the instruments of a meter. What waits and what is held is read from `table` when somebody collects. */
export function lockMetrics(meter: Meter, table: SeriesTable): LockMetrics {
  const stops = [
    gauge(meter, 'holdfast.lock.held', {
      unit: '{lease}',
      description: 'Leases that this process holds.',
      read: observe => {
        for (const { held, attributes } of table) observe(held, attributes)
      },
    }),
    gauge(meter, 'holdfast.lock.waiting', {
      unit: '{waiter}',
      description: 'Callers of this process that wait for a lock.',
      read: observe => {
        for (const { waiting, attributes } of table) observe(waiting, attributes)
      },
    }),
  ]
  return {
    close: () => {
      for (const stop of stops) attempt(stop)
    },
    waitDuration: histogram(
      meter,
      'holdfast.lock.wait.duration',
      'How long a lock was waited for, whatever came of it.',
    ),
    holdDuration: histogram(meter, 'holdfast.lock.hold.duration', 'How long a lease was held.'),
    renewalSlack: histogram(
      meter,
      'holdfast.lock.renewal.slack',
      'What was left of a lease when its renewal was answered; near 0 it is about to be lost.',
    ),
    granted: counter(meter, 'holdfast.lock.granted', { unit: '{lease}', description: 'Leases that were granted.' }),
    lost: counter(meter, 'holdfast.lock.lost', {
      unit: '{lease}',
      description: 'Leases that ended before their holder released them.',
    }),
    renewalFailures: counter(meter, 'holdfast.lock.renewal.failures', {
      unit: '{lease}',
      description: 'Leases whose renewal was not answered; it is tried again until they end.',
    }),
    refused: counter(meter, 'holdfast.fence.refused', {
      unit: '{refusal}',
      description: 'Stale fencing tokens that a guard of this process refused.',
    }),
  }
}

function histogram(meter: Meter, name: string, description: string): Recorder {
  const made = meter.createHistogram(name, { ...DURATION, description })
  return (value, attributes, context) => attempt(() => made.record(value, attributes, context))
}

function counter(meter: Meter, name: string, options: MetricOptions): Recorder {
  const made = meter.createCounter(name, options)
  return (value, attributes, context) => attempt(() => made.add(value, attributes, context))
}

type Observe = (value: number, attributes: Attributes) => void

/** An up-down counter that is asked for its values, so that what comes and goes costs nothing. */
function gauge(
  meter: Meter,
  name: string,
  { read, ...options }: MetricOptions & { readonly read: (observe: Observe) => void },
): () => void {
  const made = meter.createObservableUpDownCounter(name, options)
  const answer: ObservableCallback = result => read((value, attributes) => result.observe(value, attributes))
  made.addCallback(answer)
  return () => made.removeCallback(answer)
}
