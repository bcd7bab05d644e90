export type { LockInfo, LockOptions, Lockable, UsingOptions } from './lockable.ts'
export type { Locks, LocksOptions } from './locks.ts'
export { createLocks } from './locks.ts'
export type { Backend, FencingToken, Lease, LeaseGuarantee } from '@holdfast/core'
