import type { Bounds } from '../row.ts'

/** What a protected call may cost, and what a shared limit must reach. */
export const BOUNDS: Bounds = {
  'pipeline-6': { on: 'ratio', max: 0.1 },
  'pipeline-6:over_bare_ns': { on: 'ours', max: 600 },
  refusal: { on: 'ours', max: 1_500 },
  timeout: { on: 'ours', max: 200 },
  'redis/distributed-limit': { on: 'ratio', min: 0.9 },
  'redis/distributed-limit:flexible': { on: 'ratio', min: 1 },
  'redis/distributed-limit:requests': { on: 'ours', max: 1 },
  'redis/distributed-limit:off_ideal': { on: 'ours', max: 0.01 },
  'redis/leased-limit': { on: 'ratio', min: 20 },
  'redis/leased-limit:over_quota': { on: 'ours', max: 0 },
  'http-overload': { on: 'ours', min: 0.85 },
  'http-overload:broken': { on: 'ours', max: 0 },
}
