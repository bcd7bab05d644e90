import type { LeaseHolder, LeaseInfo, LeaseParty } from '../ports/leases.ts'

/** What `inspect` answers of those who hold a resource, longest first, and those who wait, first come first. */
export function leaseInfo(
  resource: string,
  holders: readonly LeaseHolder[],
  waiters: readonly LeaseParty[],
): LeaseInfo {
  return { resource, holder: holders[0], holders, waiters }
}
