import type { Backend } from '../../backend.ts'
import type { RecordStore } from '../../ports/records.ts'

/** The backend with some methods of its records replaced. */
export function withAlteredRecords(backend: Backend, alter: (store: RecordStore) => Partial<RecordStore>): Backend {
  const altered: Readonly<Record<string, unknown>> = { ...alter(backend.records) }
  const records = new Proxy(backend.records, {
    get(store, name) {
      const value: unknown = altered[String(name)] ?? Reflect.get(store, name)
      return typeof value === 'function' ? (value.bind(store) as unknown) : value
    },
  })
  return { ...backend, records }
}
