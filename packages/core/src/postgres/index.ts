export type { PostgresBackendOptions } from './backend.ts'
export { POSTGRES_DEFAULTS, postgresBackend } from './backend.ts'
export type { PostgresGrants } from './grants.ts'
export { postgresGrants } from './grants.ts'
