import type { Backend } from '../backend.ts'
import type { BarrierStore } from '../ports/barriers.ts'
import { recordBarriers } from './record-barriers.ts'

/** The barriers of a backend: its own where it has some, else what its records make. */
export function barriersOf(backend: Backend): BarrierStore {
  return backend.barriers ?? recordBarriers(backend)
}
