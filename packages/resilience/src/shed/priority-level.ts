import type { Priority } from '../call.ts'
import { PRIORITIES } from '../call.ts'

/** Cohorts of one priority: users are shed by cohort, so that some are served well, not all badly. */
export const COHORTS = 128

/** How many levels there are: a call of a higher level is served when one of a lower level is not. */
export const LEVELS: number = PRIORITIES.length * COHORTS

/** `background` is 0, `critical` is the highest. */
export function tierOf(priority: Priority): number {
  return PRIORITIES.length - 1 - PRIORITIES.indexOf(priority)
}

/**
 * The cohort of a key, 0 to 127: the same for an hour, so that a user who is served stays served, and another one in the next hour.
 *
 * @see FNV-1a; DAGOR (Zhou et al., SoCC 2018), section 4.2
 */
export function cohortOf(key: string, hour: number): number {
  let hash = (0x811c9dc5 ^ hour) >>> 0
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  hash ^= hash >>> 16
  return (Math.imul(hash, 0x45d9f3b) >>> 8) % COHORTS
}
