import type { Bounds } from '../row.ts'

/** What the locks promise, on any machine: ratios to floors that are measured in the same run, and absolute figures. */
export const BOUNDS: Bounds = {
  'redis/uncontended-1': { on: 'ratio', min: 0.85, aim: 0.9 },
  'redis/uncontended-64': { on: 'ratio', min: 1.3 },
  'redis/handoff-16': { on: 'ratio', min: 0.8, aim: 0.9 },
  'redis/handoff-16:gap-p50-ratio': { on: 'ours', max: 2.7 },
  'redis/handoff-16:jain': { on: 'ours', min: 0.99 },
  'redis/handoff-16:requests': { on: 'ours', max: 2.2 },
  'redis/handoff-16-think': { on: 'ratio', min: 0.8, aim: 0.9 },
  'redis/handoff-16-think:gap-p50-ratio': { on: 'ours', max: 2.2 },
  'redis/handoff-16-think:jain': { on: 'ours', min: 0.99 },
  'redis/handoff-16-think:requests': { on: 'ours', max: 2.2 },
  'redis/idle-50': { on: 'ours', max: 1 },
  'redis/renew-10000': { on: 'ours', max: 40 },
  'zookeeper/uncontended-1': { on: 'ratio', min: 1.1 },
  'zookeeper/uncontended-1:curator': { on: 'ratio', min: 1.25 },
  'zookeeper/uncontended-64:curator': { on: 'ratio', min: 1.25 },
  'zookeeper/handoff-16': { on: 'ratio', min: 0.95 },
  'zookeeper/handoff-16:curator': { on: 'ratio', min: 1.1 },
  'zookeeper/handoff-16:kazoo': { on: 'ratio', min: 1.5 },
  'zookeeper/handoff-16:jain': { on: 'ours', min: 0.99 },
}
