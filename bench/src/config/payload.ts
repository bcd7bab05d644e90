import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Namespace } from '@holdfast/config-client'
import { defineNamespace } from '@holdfast/config-client'

/** A configuration of some size, with a number in it that changes. */
export interface Payload {
  readonly timeoutMs: number
  readonly rules: readonly string[]
}

const RULE = 'a rule of forty characters, more or less'

// By hand: what a schema library takes to parse is its own.
const schema: StandardSchemaV1<Payload> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast-bench',
    validate: input => {
      const { timeoutMs, rules } = input as Partial<Payload>
      if (typeof timeoutMs !== 'number' || !Array.isArray(rules)) return { issues: [{ message: 'expected a payload' }] }
      return { value: { timeoutMs, rules } }
    },
  },
}

export const payload: Namespace<Readonly<Payload>, Payload> = defineNamespace('payload', { schema })

export function payloadOf(timeoutMs: number, sizeBytes: number): Payload {
  return { timeoutMs, rules: Array.from({ length: Math.ceil(sizeBytes / (RULE.length + 3)) }, () => RULE) }
}
