import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { FENCE_TABLE, fenceTable } from './fence-table.ts'
import { IDEMPOTENCY_OBJECTS, idempotencyFunctions, idempotencyTables } from './idempotency-functions.ts'
import { LEASE_OBJECTS, leaseFunctions, leaseTables } from './lease-functions.ts'
import { RATE_OBJECTS, rateFunctions, rateTables } from './rate-functions.ts'
import { recordFunctions } from './record-functions.ts'
import { SHARED_LEASE_FUNCTIONS, sharedLeaseFunctions } from './shared-lease-functions.ts'
import { SHARED_LEASE_TABLES, sharedLeaseTables } from './shared-lease-tables.ts'

/** Where our tables are. */
export interface Schema {
  readonly name: string
  /** As SQL has it. */
  readonly quoted: string
  /** The tables, and the functions that change them. Their names tell the version of what they take and promise. */
  readonly objects: readonly string[]
  /** What makes the tables that are missing. */
  readonly tables: string
  /** What makes each function, in the place of an older one of its name. */
  readonly functions: ReadonlyMap<string, string>
}

/**
 * Grows with every change of a function that keeps its name, for schemas that have it as it was: whoever may brings them up to date when
 * it connects. What a later release has put there is left as it is, so two releases on one schema do not take turns.
 */
export const FUNCTIONS_REVISION = 1
/** What tells the revision of a function, at the begin of its body: a pattern of PostgreSQL. */
export const REVISION_PATTERN = '^ -- revision ([0-9]+)\\n'

const IDENTIFIER_BYTES_MAX = 63

export function schemaOf(name: string): Schema {
  const quoted = `"${name.replaceAll('"', '""')}"`
  return {
    name,
    quoted,
    objects: [
      'directories',
      'records',
      'commits',
      'ephemerals',
      'commit_v1',
      'join_v1',
      'beat_v1',
      ...IDEMPOTENCY_OBJECTS,
      ...RATE_OBJECTS,
      ...LEASE_OBJECTS,
      ...SHARED_LEASE_TABLES,
      ...SHARED_LEASE_FUNCTIONS,
      FENCE_TABLE,
    ],
    tables:
      tables(quoted) +
      idempotencyTables(quoted) +
      rateTables(quoted) +
      leaseTables(quoted) +
      sharedLeaseTables(quoted) +
      fenceTable(quoted, FENCE_TABLE),
    functions: byName(
      quoted,
      recordFunctions(quoted) +
        idempotencyFunctions(quoted) +
        rateFunctions(quoted) +
        leaseFunctions(quoted) +
        sharedLeaseFunctions(quoted),
    ),
  }
}

const CREATE = 'CREATE OR REPLACE FUNCTION '

function byName(schema: string, statements: string): ReadonlyMap<string, string> {
  const functions = new Map<string, string>()
  const marked = statements.replaceAll('AS $holdfast$\n', `AS $holdfast$ -- revision ${FUNCTIONS_REVISION}\n`)
  for (const statement of marked.split(CREATE).slice(1)) {
    const name = statement.slice(`${schema}.`.length, statement.indexOf('(', schema.length))
    functions.set(name, CREATE + statement)
  }
  return functions
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what PostgreSQL would not take, or would cut. */
export function checkSchema(name: unknown): asserts name is string {
  checkName('schema', name)
  const bytes = new TextEncoder().encode(name).length
  if (bytes <= IDENTIFIER_BYTES_MAX && !name.startsWith('pg_')) return
  throw new InvalidArgumentError(
    'schema',
    `Expected \`schema\` to have at most ${IDENTIFIER_BYTES_MAX} bytes and not to start with pg_, got ${show(name)}.`,
  )
}

// What belongs to a directory hangs on its history: of one that was dropped and made anew, nothing old is ever seen.
function tables(schema: string): string {
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.directories (
      name text COLLATE "C" PRIMARY KEY,
      history text COLLATE "C" NOT NULL UNIQUE,
      number bigint NOT NULL DEFAULT 0,
      commit_id text COLLATE "C",
      committed_at_ms bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000),
      record_count integer NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);
    CREATE TABLE IF NOT EXISTS ${schema}.records (
      history text COLLATE "C" REFERENCES ${schema}.directories (history) ON DELETE CASCADE,
      id text COLLATE "C",
      value bytea NOT NULL,
      version text COLLATE "C" NOT NULL,
      PRIMARY KEY (history, id)
    );
    CREATE TABLE IF NOT EXISTS ${schema}.commits (
      history text COLLATE "C" REFERENCES ${schema}.directories (history) ON DELETE CASCADE,
      commit_id text COLLATE "C",
      number bigint NOT NULL,
      committed_at_ms bigint NOT NULL,
      PRIMARY KEY (history, commit_id)
    );
    CREATE INDEX IF NOT EXISTS commits_by_number ON ${schema}.commits (history, number);
    CREATE TABLE IF NOT EXISTS ${schema}.ephemerals (
      history text COLLATE "C" REFERENCES ${schema}.directories (history) ON DELETE CASCADE,
      id text COLLATE "C",
      owner text COLLATE "C" NOT NULL,
      value bytea NOT NULL,
      changed_at timestamptz NOT NULL,
      ends_at timestamptz NOT NULL,
      PRIMARY KEY (history, id)
    ) WITH (fillfactor = 50);`
}
