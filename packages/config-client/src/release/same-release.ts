import type { ReleaseName } from './release.ts'

/** Whether it is the same release. */
export function isSameRelease(a: ReleaseName | undefined, b: ReleaseName | undefined): boolean {
  return a?.number === b?.number && a?.hash === b?.hash
}
