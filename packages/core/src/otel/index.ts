export type { InstrumentLocksOptions } from './instrument-locks.ts'
export { instrumentLocks } from './instrument-locks.ts'
