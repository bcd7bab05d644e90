import type { JsonObject } from '../release/json.ts'

/** What a publish does to a namespace. Made by `Namespace.patch`, `replace` and `remove`, or by hand where there is no schema. */
export type Edit =
  /** Merged into what is there, object by object (RFC 7396): null takes a key away, an array is one value. */
  | { readonly kind: 'patch'; readonly namespace: string; readonly value: JsonObject }
  | { readonly kind: 'replace'; readonly namespace: string; readonly value: JsonObject }
  | { readonly kind: 'remove'; readonly namespace: string }
