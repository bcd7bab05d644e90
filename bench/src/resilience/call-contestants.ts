import {
  adaptiveLimit,
  bulkhead,
  circuitBreaker,
  pipeline,
  rateLimit,
  retry,
  retryBudget,
  timeout,
} from '@holdfast/resilience'

/** Runs work under some protection. */
export type Protected = (work: () => Promise<number>) => Promise<unknown>

/** What is measured of a call. */
export type CallCost = 'pipeline-6' | 'refusal' | 'timeout'

type Makers = Readonly<Record<CallCost, () => Promise<Protected>>>

const TIMEOUT_MS = 1_000
const MANY = 1_000_000_000

/** Everybody who is measured, by name; each makes only what is asked for. */
export const CALL_CONTESTANTS: Readonly<Record<string, Makers>> = {
  ours: { 'pipeline-6': ourPipeline, refusal: ourRefusal, timeout: ourTimeout },
  'cockatiel 4': cockatielOf(async () => await import('cockatiel-4')),
  'cockatiel 3': cockatielOf(async () => (await import('cockatiel-3')) as unknown as Cockatiel),
}

async function ourPipeline(): Promise<Protected> {
  const policy = pipeline(
    rateLimit({ limit: MANY }),
    retry({ maxAttempts: 3, budget: retryBudget() }),
    circuitBreaker(),
    bulkhead({ limit: 1_000 }),
    adaptiveLimit(),
    timeout({ timeoutMs: TIMEOUT_MS }),
  )
  return work => policy.execute(work)
}

async function ourRefusal(): Promise<Protected> {
  const breaker = circuitBreaker()
  breaker.isolate()
  return refusedBy(work => breaker.execute(work))
}

async function ourTimeout(): Promise<Protected> {
  const policy = timeout({ timeoutMs: TIMEOUT_MS })
  return work => policy.execute(work)
}

type Cockatiel = typeof import('cockatiel-4')

// cockatiel has no rate limit and no adaptive limit: its pipeline is the four that it has.
function cockatielOf(load: () => Promise<Cockatiel>): Makers {
  return {
    'pipeline-6': async () => {
      const c = await load()
      const policy = c.wrap(
        c.retry(c.handleAll, { maxAttempts: 3, backoff: new c.ExponentialBackoff() }),
        c.circuitBreaker(c.handleAll, {
          halfOpenAfter: 5_000,
          breaker: new c.SamplingBreaker({ threshold: 0.5, duration: 30_000 }),
        }),
        c.bulkhead(1_000),
        c.timeout(TIMEOUT_MS, c.TimeoutStrategy.Aggressive),
      )
      return work => policy.execute(work)
    },
    refusal: async () => {
      const c = await load()
      const breaker = c.circuitBreaker(c.handleAll, { halfOpenAfter: 5_000, breaker: new c.ConsecutiveBreaker(3) })
      breaker.isolate()
      return refusedBy(work => breaker.execute(work))
    },
    timeout: async () => {
      const c = await load()
      const policy = c.timeout(TIMEOUT_MS, c.TimeoutStrategy.Aggressive)
      return work => policy.execute(work)
    },
  }
}

// What is measured is the refusal: one that lets the work through would only look fast.
function refusedBy(run: Protected): Protected {
  return async work => {
    try {
      await run(work)
    } catch {
      return
    }
    throw new Error('It was not refused.')
  }
}
