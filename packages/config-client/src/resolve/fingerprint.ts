import { createHash } from 'node:crypto'
import type { StandardJSONSchemaV1 } from '@standard-schema/spec'
import type { ObjectSchema } from '../namespace/namespace.ts'
import { canonicalJson } from '../release/canonical-json.ts'
import type { Json } from '../release/json.ts'

const DIGITS = 16

/**
 * Tells schemas apart: 16 hexadecimal digits of the SHA-256 of the JSON Schema of its input. Undefined where the library does not follow
 * Standard JSON Schema, or cannot say this schema in it. What only code says (a refinement, a transformation) makes no difference.
 */
export function schemaFingerprint(schema: ObjectSchema): string | undefined {
  try {
    const { jsonSchema } = schema['~standard'] as Partial<StandardJsonSchema>
    const described = jsonSchema?.input({ target: 'draft-2020-12' })
    if (described === undefined) return undefined
    // Through a text, since libraries leave undefined and objects of their own in it.
    const json = canonicalJson(JSON.parse(JSON.stringify(described)) as Json)
    return createHash('sha256').update(json).digest('hex').slice(0, DIGITS)
  } catch {
    return undefined
  }
}

type StandardJsonSchema = StandardJSONSchemaV1['~standard']
