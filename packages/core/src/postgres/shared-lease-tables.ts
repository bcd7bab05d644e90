/**
 * Where resources are that more than one can hold: readers and writers (`kind` is `read-write`), and permits (`permits`). One row a
 * resource, which says the last token, and whose lock is held by whoever decides; one for each holder, with a deadline of its
 * own; and one for each who waits, in the order of their tickets. `capacity` is beside how many others at most a permit is granted,
 * plus one; a writer's is 1, and a reader's as well: it waits for the one writer.
 *
 * A holder holds while its `ends_at` is to come. Rows of holders that have ended are removed by the next step.
 */
export function sharedLeaseTables(schema: string): string {
  const of = `kind text COLLATE "C",
      resource text COLLATE "C",
      FOREIGN KEY (kind, resource) REFERENCES ${schema}.shared_leases (kind, resource) ON DELETE CASCADE`
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.shared_leases (
      kind text COLLATE "C",
      resource text COLLATE "C",
      token bigint NOT NULL,
      kept_until timestamptz NOT NULL,
      PRIMARY KEY (kind, resource)
    ) WITH (fillfactor = 50);
    CREATE INDEX IF NOT EXISTS shared_leases_by_keep ON ${schema}.shared_leases (kept_until);
    CREATE TABLE IF NOT EXISTS ${schema}.shared_lease_holders (
      ${of},
      request text COLLATE "C",
      mode text COLLATE "C" NOT NULL,
      slot integer,
      token bigint NOT NULL,
      meta text NOT NULL,
      since timestamptz NOT NULL,
      ends_at timestamptz NOT NULL,
      PRIMARY KEY (kind, resource, request)
    ) WITH (fillfactor = 50);
    CREATE TABLE IF NOT EXISTS ${schema}.shared_lease_waiters (
      ${of},
      ticket bigint GENERATED ALWAYS AS IDENTITY,
      request text COLLATE "C" NOT NULL,
      mode text COLLATE "C" NOT NULL,
      capacity integer NOT NULL,
      ttl_ms integer NOT NULL,
      claim_ms integer NOT NULL,
      meta text NOT NULL,
      PRIMARY KEY (kind, resource, ticket),
      UNIQUE (kind, resource, request)
    );`
}

/** The tables of shared resources. */
export const SHARED_LEASE_TABLES = ['shared_leases', 'shared_lease_holders', 'shared_lease_waiters'] as const
