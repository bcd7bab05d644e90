import type { RecordStore } from '@holdfast/core'
import { decodeContent } from '../release/codec.ts'
import type { ReleaseContent, ReleaseName } from '../release/release.ts'

/** A content that was asked for by its hash. */
export type ContentRead =
  | { readonly kind: 'read'; readonly content: ReleaseContent }
  /** Not there, or the store does not answer: it may come. */
  | { readonly kind: 'missing'; readonly error: unknown }
  /** It is not what its hash says. */
  | { readonly kind: 'corrupt'; readonly error: unknown }

/** Reads a content that is too large to stand beside its release. Rejects only when `signal` aborts. */
export async function readContent(
  store: RecordStore,
  {
    directory,
    release,
    signal,
  }: { readonly directory: string; readonly release: ReleaseName; readonly signal: AbortSignal },
): Promise<ContentRead> {
  const bytes = await store.read({ directory, ids: [release.hash] }, signal).then(
    read => (read.kind === 'present' ? read.records.get(release.hash)?.value : undefined),
    (error: unknown) => error,
  )
  signal.throwIfAborted()
  if (bytes === undefined) {
    const error = new Error(`The store does not have the content ${release.hash} of release ${release.number}.`)
    return { kind: 'missing', error }
  }
  if (!(bytes instanceof Uint8Array)) return { kind: 'missing', error: bytes }
  try {
    return { kind: 'read', content: decodeContent(bytes, release.hash) }
  } catch (error) {
    return { kind: 'corrupt', error }
  }
}
