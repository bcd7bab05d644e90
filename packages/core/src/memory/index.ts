import type { Backend } from '../backend.ts'
import { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { checkKeys } from '../options.ts'
import { MemoryIdempotencyStore } from './idempotency.ts'
import { MemoryLeaseStore } from './leases.ts'
import { MemoryRateStore } from './rates.ts'
import { MemoryRecordStore } from './records.ts'
import { MemoryWorld } from './world.ts'

export type { MemoryFence } from './guard.ts'
export { memoryFence } from './guard.ts'
export { MemoryWorld } from './world.ts'

/** How a backend in memory is made. */
export interface MemoryBackendOptions {
  /** Give the same world to several backends, and they are clients of one store. @default a world of its own */
  readonly world?: MemoryWorld
  /** What time it is; a test passes a simulated clock. Only without `world`, which has its own. @default systemClock */
  readonly clock?: Clock
}

const KNOWN: ReadonlySet<string> = new Set(['world', 'clock'])

/**
 * A backend for one process: the same promises as the others, with no server. For tests, for development, and for services
 * that run as one process.
 */
export function memoryBackend(options: MemoryBackendOptions = {}): Backend {
  checkKeys('memoryBackend', options, KNOWN)
  if (options.world !== undefined && !(options.world instanceof MemoryWorld)) {
    throw new InvalidArgumentError('world', `Expected \`world\` to be a MemoryWorld, got ${show(options.world)}.`)
  }
  if (options.world !== undefined && options.clock !== undefined) {
    throw new InvalidArgumentError('clock', 'Expected either `world` or `clock`: a world has its own clock.')
  }
  const world = options.world ?? new MemoryWorld(options.clock ?? systemClock)
  const lifecycle = new BackendLifecycle('memory backend', world.clock)
  const leases = new MemoryLeaseStore(world, lifecycle)
  const records = new MemoryRecordStore(world, lifecycle)
  lifecycle.setHealth({ kind: 'ready' })
  const close = (): Promise<void> => {
    leases.close()
    records.close()
    return lifecycle.close(async () => {})
  }
  return {
    kind: 'memory',
    clock: world.clock,
    leases,
    records,
    rates: new MemoryRateStore(world, lifecycle),
    idempotency: new MemoryIdempotencyStore(world, lifecycle),
    health: lifecycle.health,
    ready: async () => lifecycle.checkOpen(),
    onClose: hook => lifecycle.onClose(hook),
    close,
    [Symbol.asyncDispose]: close,
  }
}
