import { InvalidArgumentError, show } from '@holdfast/core'
import type { ObjectSchema } from './namespace.ts'

/**
 * Refuses what is no Standard Schema.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkSchema(of: string, schema: unknown): asserts schema is ObjectSchema {
  const standard = (schema as Partial<ObjectSchema> | null | undefined)?.['~standard']
  if (standard?.version === 1 && typeof standard.validate === 'function') return
  throw new InvalidArgumentError(
    'schema',
    `Expected the \`schema\` of ${of} to follow Standard Schema (zod 3.24, valibot 1, arktype 2 or later), got ${show(schema)}.`,
  )
}
