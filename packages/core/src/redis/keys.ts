import { percentEncode } from '../names.ts'

const RESERVED = /[{}%]/g

/** The two keys of a lease, in one slot of a Cluster. */
export interface LeaseKeys {
  readonly state: string
  readonly queue: string
}

/** Where the lease on a resource is kept, as `scripts/lease-steps.ts` describes it. */
export function leaseKeys(prefix: string, resource: string): LeaseKeys {
  const state = leaseStateKey(prefix, resource)
  return { state, queue: `${state}:q` }
}

/** The first of them alone. */
export function leaseStateKey(prefix: string, resource: string): string {
  return `${prefix}:${tagOf(resource)}`
}

/** The four keys of what can be held beside others, in one slot of a Cluster. See `scripts/shared-steps.ts`. */
export interface SharedLeaseKeys {
  readonly state: string
  readonly ends: string
  readonly queue: string
  readonly slots: string
}

/** Where the readers and writers of a resource are kept, or its permits: beside its lease, which has nothing to do with them. */
export function sharedLeaseKeys(prefix: string, resource: string, kind: 'read-write' | 'permits'): SharedLeaseKeys {
  const state = `${leaseKeys(prefix, resource).state}:${kind === 'permits' ? 'p' : 'rw'}`
  return { state, ends: `${state}:e`, queue: `${state}:q`, slots: `${state}:s` }
}

/** The keys of a directory, in one slot of a Cluster, and the channel on which its changes are told. */
export interface DirectoryKeys {
  /** A hash: `m` what revision it is, `r:<id>` the records. See `scripts/commit-records.ts`. */
  readonly records: string
  /** A sorted set: the ids of the last commits, by their time. */
  readonly commits: string
  /** A hash: `m`, `n` and `r:<id>`. See `scripts/ephemeral-steps.ts`. */
  readonly ephemerals: string
  /** A sorted set: the ids of ephemeral records, by when they end. */
  readonly deadlines: string
  readonly channel: string
}

/** Where the records of a directory are kept. */
export function directoryKeys(prefix: string, directory: string): DirectoryKeys {
  const records = `${prefix}:dir:${tagOf(directory)}`
  return {
    records,
    commits: `${records}:c`,
    ephemerals: `${records}:e`,
    deadlines: `${records}:d`,
    channel: `${records}:ch`,
  }
}

function tagOf(name: string): string {
  return `{${/[{}%]/.test(name) ? percentEncode(name, RESERVED) : name}}`
}

/** Where a quota is kept. What is a hash tag in the name of the key is one here. */
export function rateKey(prefix: string, key: string): string {
  return `${prefix}:rate:${key}`
}

/** What the channels of all inboxes start with; the rest is what request ids start with. */
export function inboxPrefix(prefix: string): string {
  return `${prefix}:inbox:`
}

/** Since when this server is the one that answers. */
export function markerKey(prefix: string): string {
  return `${prefix}:server`
}

/** Where the run of an idempotency key is kept, as `scripts/idempotency-steps.ts` describes it. */
export function runKey(prefix: string, key: string): string {
  return `${prefix}:idem:${tagOf(key)}`
}

/** The part of a key that decides its slot in a Cluster. */
export function hashTag(key: string): string {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
}

/** The fence record of a resource, in the slot of the keys that carry the resource's name or hash tag. */
export function fenceKey(prefix: string, resource: string): string {
  return `${prefix}:fence:{${hashTag(resource)}}:${resource}`
}
