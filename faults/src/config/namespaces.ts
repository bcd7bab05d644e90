import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Namespace } from '@holdfast/config-client'
import { defineNamespace } from '@holdfast/config-client'

/** A counter that every publish makes one greater: then the value in a release is the release's number. */
export interface Counter {
  readonly value: number
  readonly by: string
}

const schema: StandardSchemaV1<Counter> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast-faults',
    validate: input => {
      const { value, by } = input as Partial<Counter>
      if (typeof value !== 'number' || typeof by !== 'string') return { issues: [{ message: 'expected a counter' }] }
      return { value: { value, by } }
    },
  },
}

export const counter: Namespace<Readonly<Counter>, Counter> = defineNamespace('counter', { schema })
