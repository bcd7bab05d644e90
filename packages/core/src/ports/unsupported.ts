import { UnsupportedError } from '../errors.ts'
import type { IdempotencyStore } from './idempotency.ts'
import type { LeaseStore } from './leases.ts'
import type { RateStore } from './rates.ts'
import type { RecordStore } from './records.ts'

/** What a backend without leases has in their place: every use is refused (`HF_UNSUPPORTED`). */
export function unsupportedLeases(kind: string): LeaseStore {
  const refuse = refusalOf(kind, 'leases')
  return {
    renewal: 'each',
    guarantee: 'advisory',
    modes: 'exclusive',
    newRequestId: refuse,
    tryGrant: async () => refuse(),
    grant: async () => refuse(),
    renew: async () => refuse(),
    release: async () => refuse(),
    downgrade: async () => refuse(),
    inspect: async () => refuse(),
    onLost: () => () => {},
  }
}

/** What a backend without records has in their place: every use is refused (`HF_UNSUPPORTED`). */
export function unsupportedRecords(kind: string): RecordStore {
  const refuse = refusalOf(kind, 'records')
  return {
    guarantee: 'advisory',
    newId: refuse,
    read: async () => refuse(),
    commit: async () => refuse(),
    join: async () => refuse(),
    beat: async () => refuse(),
    leave: async () => refuse(),
    listen: refuse,
  }
}

/** What a backend without rates has in their place: every use is refused (`HF_UNSUPPORTED`). */
export function unsupportedRates(kind: string): RateStore {
  const refuse = refusalOf(kind, 'rates')
  return { take: async () => refuse(), takeAll: async () => refuse(), giveBack: async () => refuse() }
}

/** What a backend without idempotency has in its place: every use is refused (`HF_UNSUPPORTED`). */
export function unsupportedIdempotency(kind: string): IdempotencyStore {
  const refuse = refusalOf(kind, 'idempotency')
  return {
    newOwner: refuse,
    begin: async () => refuse(),
    renew: async () => refuse(),
    complete: async () => refuse(),
    release: async () => refuse(),
  }
}

function refusalOf(kind: string, port: string): () => never {
  return () => {
    throw new UnsupportedError(`The ${kind} backend has no ${port}: use another backend for them.`)
  }
}
