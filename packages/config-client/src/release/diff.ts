import type { Json } from './json.ts'

/** One difference between two contents. Encrypted values show as `[secret]`. */
export interface ReleaseChange {
  readonly kind: 'added' | 'removed' | 'changed'
  readonly namespace: string
  /** Keys from the namespace's root to the value; empty for the namespace itself. */
  readonly path: readonly string[]
  readonly before: Json | undefined
  readonly after: Json | undefined
}
