import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { POSTGRES_DEFAULTS } from './backend.ts'
import { checkSchema, schemaOf } from './schema.ts'
import { SHARED_LEASE_FUNCTIONS } from './shared-lease-functions.ts'
import { SHARED_LEASE_TABLES } from './shared-lease-tables.ts'

/** Which roles may do what. */
export interface PostgresGrants {
  /** @default 'holdfast' */
  readonly schema?: string
  /** May read and follow directories. */
  readonly readers?: readonly string[]
  /** May also announce ephemeral records: the instances of a service. */
  readonly instances?: readonly string[]
  /** May also commit. */
  readonly publishers?: readonly string[]
  /** May take of rates, and nothing else. */
  readonly limiters?: readonly string[]
  /** May run idempotent calls, and nothing else. */
  readonly callers?: readonly string[]
  /** May hold leases, wait for them, and check and raise fences; nothing else. */
  readonly holders?: readonly string[]
}

/**
 * The statements that give roles what they need, and no more, for whoever made the tables to run: nobody else may. A service
 * that reads its configuration is no publisher, so it cannot change it.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function postgresGrants(grants: PostgresGrants): readonly string[] {
  const {
    schema: name = POSTGRES_DEFAULTS.schema,
    readers = [],
    instances = [],
    publishers = [],
    limiters = [],
    callers = [],
    holders = [],
  } = grants
  checkSchema(name)
  const { quoted: schema } = schemaOf(name)
  const all = [...readers, ...instances, ...publishers]
  return [
    ...granted(`USAGE ON SCHEMA ${schema}`, [...all, ...limiters, ...callers, ...holders]),
    ...granted(`SELECT ON ${schema}.directories, ${schema}.records, ${schema}.ephemerals`, all),
    // A directory is made by its first instance or commit; only commits change it.
    ...granted(`INSERT (name, history) ON ${schema}.directories`, [...instances, ...publishers]),
    ...granted(`INSERT, UPDATE, DELETE ON ${schema}.ephemerals`, instances),
    ...granted(`EXECUTE ON FUNCTION ${schema}.join_v1, ${schema}.beat_v1`, instances),
    ...granted(`UPDATE ON ${schema}.directories`, publishers),
    ...granted(`INSERT, UPDATE, DELETE ON ${schema}.records`, publishers),
    ...granted(`SELECT, INSERT, DELETE ON ${schema}.commits`, publishers),
    ...granted(`EXECUTE ON FUNCTION ${schema}.commit_v1`, publishers),
    ...granted(`SELECT, INSERT, UPDATE, DELETE ON ${schema}.rates`, limiters),
    ...granted(`EXECUTE ON FUNCTION ${schema}.take_rates_v1, ${schema}.give_back_rate_v1`, limiters),
    ...granted(`SELECT, INSERT, UPDATE, DELETE ON ${schema}.idempotency_runs`, callers),
    ...granted(`EXECUTE ON FUNCTION ${schema}.begin_run_v1, ${schema}.renew_run_v1, ${schema}.end_run_v1`, callers),
    ...granted(`SELECT, INSERT, UPDATE, DELETE ON ${schema}.leases, ${schema}.lease_waiters`, holders),
    ...granted(
      `EXECUTE ON FUNCTION ${schema}.acquire_lease_v1, ${schema}.release_lease_v1, ${schema}.renew_leases_v1`,
      holders,
    ),
    ...granted(`SELECT, INSERT, UPDATE, DELETE ON ${listed(schema, SHARED_LEASE_TABLES)}`, holders),
    ...granted(`EXECUTE ON FUNCTION ${listed(schema, SHARED_LEASE_FUNCTIONS)}`, holders),
    ...granted(`SELECT, INSERT, UPDATE ON ${schema}.fences`, holders),
  ]
}

function listed(schema: string, names: readonly string[]): string {
  return names.map(name => `${schema}.${name}`).join(', ')
}

function granted(what: string, roles: readonly string[]): readonly string[] {
  return roles.length === 0 ? [] : [`GRANT ${what} TO ${roles.map(quotedRole).join(', ')}`]
}

function quotedRole(role: string): string {
  checkName('role', role)
  if (new TextEncoder().encode(role).length <= 63) return `"${role.replaceAll('"', '""')}"`
  throw new InvalidArgumentError('role', `Expected a role to have at most 63 bytes, got ${show(role)}.`)
}
