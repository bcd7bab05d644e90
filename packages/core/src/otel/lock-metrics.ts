import type { Attributes, Context, Meter, MetricOptions } from '@opentelemetry/api'
import { attempt } from './channels.ts'

type Record = (value: number, attributes: Attributes, context?: Context) => void

/** The instruments, each as a function that never throws. Durations are in seconds, as OpenTelemetry wants them. */
export interface LockMetrics {
  readonly waitDuration: Record
  readonly holdDuration: Record
  readonly renewalSlack: Record
  readonly granted: Record
  readonly lost: Record
  readonly renewalFailures: Record
  readonly held: Record
  readonly waiting: Record
  readonly refused: Record
}

// From what a store on the same host takes to the longest that people watch a graph for. The SDK's own bounds are made for milliseconds.
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const DURATION: MetricOptions = { unit: 's', advice: { explicitBucketBoundaries: SECONDS } }

/** Makes the instruments of a meter. */
export function lockMetrics(meter: Meter): LockMetrics {
  return {
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
    held: upDown(meter, 'holdfast.lock.held', { unit: '{lease}', description: 'Leases that this process holds.' }),
    waiting: upDown(meter, 'holdfast.lock.waiting', {
      unit: '{waiter}',
      description: 'Callers of this process that wait for a lock.',
    }),
    refused: counter(meter, 'holdfast.fence.refused', {
      unit: '{refusal}',
      description: 'Stale fencing tokens that a guard of this process refused.',
    }),
  }
}

function histogram(meter: Meter, name: string, description: string): Record {
  const made = meter.createHistogram(name, { ...DURATION, description })
  return (value, attributes, context) => attempt(() => made.record(value, attributes, context))
}

function counter(meter: Meter, name: string, options: MetricOptions): Record {
  const made = meter.createCounter(name, options)
  return (value, attributes, context) => attempt(() => made.add(value, attributes, context))
}

function upDown(meter: Meter, name: string, options: MetricOptions): Record {
  const made = meter.createUpDownCounter(name, options)
  return (value, attributes, context) => attempt(() => made.add(value, attributes, context))
}
