import type { LeaseRequest } from '../ports/leases.ts'
import type { Lease } from './lease-contract.ts'
import { HeldLease } from './lease.ts'

/** What a lease was asked for. Undefined of one that no backend granted, such as one that is nested in another. */
export function wishOf(lease: Lease): Pick<LeaseRequest, 'resource' | 'mode'> | undefined {
  return lease instanceof HeldLease ? lease.request : undefined
}
