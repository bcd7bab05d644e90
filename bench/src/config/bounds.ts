import type { Bounds } from '../row.ts'

/** What the configuration client promises: ratios to what the same servers give anybody, and absolute figures. */
export const BOUNDS: Bounds = {
  'read-current:difference_ns': { on: 'ours', max: 2 },
  'redis/publish-applied-1': { on: 'ratio', max: 2.5 },
  'redis/publish-applied-500': { on: 'ratio', max: 1.5 },
  'redis/repair': { on: 'ours', max: 1.05 },
  'zookeeper/publish-applied-1': { on: 'ratio', max: 2.5 },
}
