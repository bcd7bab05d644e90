import { defineNamespace } from '@holdfast/config-client'
import { z } from 'zod'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** What may change while the service runs, and the port, which may not. */
export const service = defineNamespace('service', {
  schema: z.object({
    logLevel: z.enum(LOG_LEVELS).default('info'),
    degraded: z.boolean().default(false),
    pool: z.object({ max: z.number().int().min(1).max(50).default(4) }).prefault({}),
    port: z.number().int().min(0).max(65_535).default(0),
  }),
  static: ['port'],
  invariants: [
    (next, previous) =>
      previous === undefined ||
      next.pool.max <= previous.pool.max * 4 ||
      'a pool grows fourfold at most in one release',
  ],
})
