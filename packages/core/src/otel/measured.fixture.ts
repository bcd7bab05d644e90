import { AsyncLocalStorage } from 'node:async_hooks'
import type { Attributes, Context, ContextManager } from '@opentelemetry/api'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import type { MetricData } from '@opentelemetry/sdk-metrics'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { onTestFinished } from 'vitest'
import type { InstrumentLocksOptions } from './index.ts'
import { instrumentLocks } from './index.ts'

class TestReader extends MetricReader {
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
}

/** One series of a metric: a sum, or how many were measured and their sum. */
export interface Series {
  readonly attributes: Attributes
  readonly value: number | { readonly count: number; readonly sum: number }
}

/** Locks under telemetry of the real SDK, until the end of the test. */
export class Measured {
  readonly stop: () => void
  readonly #spans = new InMemorySpanExporter()
  readonly #reader = new TestReader()

  constructor(options: InstrumentLocksOptions = {}, exporter: SpanExporter = this.#spans) {
    const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
    const meter = new MeterProvider({ readers: [this.#reader] }).getMeter('test')
    this.stop = instrumentLocks({ tracer, meter, ...options })
    onTestFinished(this.stop)
  }

  spans(name: string): readonly ReadableSpan[] {
    return this.#spans.getFinishedSpans().filter(span => span.name === `holdfast.lock.${name}`)
  }

  /** The only span of that name. */
  span(name: string): ReadableSpan {
    const [span, ...more] = this.spans(name)
    if (span === undefined || more.length > 0) throw new Error(`There are ${more.length + 1} spans, or none: ${name}.`)
    return span
  }

  /** The unit, and the least and greatest bound of the buckets. */
  async unitAndBounds(name: string): Promise<readonly unknown[]> {
    const metric = await this.#metric(name)
    const value = metric?.dataPoints[0]?.value
    const bounds = typeof value === 'object' && 'buckets' in value ? value.buckets.boundaries : []
    return [metric?.descriptor.unit, bounds[0], bounds[bounds.length - 1]]
  }

  async #metric(name: string): Promise<MetricData | undefined> {
    const { resourceMetrics } = await this.#reader.collect()
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
    return all.find(({ descriptor }) => descriptor.name === `holdfast.${name}`)
  }

  async series(name: string): Promise<readonly Series[]> {
    const points = (await this.#metric(name))?.dataPoints ?? []
    return points.map(({ attributes, value }) => {
      if (typeof value === 'number') return { attributes, value }
      return { attributes, value: { count: value.count, sum: 'sum' in value ? (value.sum ?? 0) : 0 } }
    })
  }
}

/** What makes a context the active one across awaits, as every SDK for Node brings it. */
export class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(context, () => run.apply(thisArg as ThisParameterType<F>, args))
  }

  bind<T>(_context: Context, target: T): T {
    return target
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}
