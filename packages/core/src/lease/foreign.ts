import type { Backend } from '../backend.ts'
import { keeperOf } from './keeper.ts'
import { HeldLease } from './lease.ts'

/** What an error message adds to a lease that is of another backend than this one: of which. Empty for one that nobody granted. */
export function ofForeignBackend(lease: unknown, backend: Backend): string {
  if (!(lease instanceof HeldLease) || lease.isKeptBy(keeperOf(backend))) return ''
  const { backendKind: kind } = lease
  return kind === backend.kind ? ` of another ${kind} backend` : ` of the ${kind} backend`
}
