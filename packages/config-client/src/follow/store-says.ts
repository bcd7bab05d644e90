import type { DirectoryView, Revision } from '@holdfast/core'
import type { InstanceReport } from '../client/report.ts'
import { decodeCandidate, decodeRelease } from '../release/codec.ts'
import type { Release, ReleaseContent, ReleaseName } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { CANDIDATE, HEAD } from '../release/scope.ts'
import { selects } from '../release/selection.ts'

/** The release that is meant for this instance, as the store has it. */
export interface Target {
  readonly release: Release
  /** Undefined when it has to be read from the contents directory. */
  readonly content: ReleaseContent | undefined
  readonly revision: Revision
  /** Of the record that it stands in: changes whenever that is written. */
  readonly version: string
  /** The number of the head, which is another release while a candidate is meant for us; 0 without a head. */
  readonly headNumber: number
  /** By the store's clock. */
  readonly committedAtMs: number
}

/** What a view of the releases directory says. Missing and unreadable are answers of their own, and never an empty release. */
export type StoreSays =
  | { readonly kind: 'unread' }
  /** Nothing was ever written there, or the store lost it. */
  | { readonly kind: 'no-directory' }
  /** The directory is there, and nothing in it is meant for us. */
  | { readonly kind: 'no-head'; readonly revision: Revision; readonly hasCandidate: boolean }
  | {
      readonly kind: 'unreadable'
      readonly error: unknown
      /** What the record calls itself, if that much can be read. */
      readonly release: ReleaseName | undefined
      readonly version: string
    }
  | {
      readonly kind: 'target'
      readonly target: Target
      /** Why the candidate's record was passed over, if it cannot be read. */
      readonly candidateError: unknown
    }

/** Who reads. */
export interface Reader {
  readonly scope: Scope
  readonly instance: Pick<InstanceReport, 'id' | 'slot' | 'labels'>
}

type Present = Extract<DirectoryView, { readonly kind: 'present' }>
type Read<T> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly value: T; readonly version: string }
  | { readonly kind: 'unreadable'; readonly error: unknown; readonly version: string; readonly bytes: Uint8Array }

/** Pure. Where a content says what `known` says, it has the same objects. */
export function storeSays(view: DirectoryView, reader: Reader, known?: ReleaseContent): StoreSays {
  if (view.kind === 'unread') return { kind: 'unread' }
  if (view.kind === 'missing') return { kind: 'no-directory' }
  const head = readRecord(view, HEAD, bytes => decodeRelease(reader.scope, bytes, known))
  const candidate = readRecord(view, CANDIDATE, bytes => decodeCandidate(reader.scope, bytes, known))
  const headNumber = head.kind === 'read' ? head.value.release.number : 0
  const target = (
    of: { readonly release: Release; readonly content: ReleaseContent | undefined },
    version: string,
  ) => ({
    kind: 'target' as const,
    target: {
      release: of.release,
      content: of.content,
      revision: view.revision,
      version,
      headNumber,
      committedAtMs: view.committedAtMs,
    },
    candidateError: candidate.kind === 'unreadable' ? candidate.error : undefined,
  })
  if (candidate.kind === 'read') {
    const { release, rule } = candidate.value
    // One that is not above the head is none: a candidate takes the next number, and goes when it becomes the head.
    const isOurs = release.number > headNumber && selects(rule, reader.instance, release, reader.scope)
    if (isOurs && head.kind !== 'unreadable') return target(candidate.value, candidate.version)
  }
  switch (head.kind) {
    case 'read':
      return target(head.value, head.version)
    case 'unreadable':
      return { kind: 'unreadable', error: head.error, release: nameIn(head.bytes), version: head.version }
    case 'absent':
      return { kind: 'no-head', revision: view.revision, hasCandidate: candidate.kind !== 'absent' }
  }
}

function readRecord<T>(view: Present, id: string, decode: (bytes: Uint8Array) => T): Read<T> {
  const record = view.records.get(id)
  if (record === undefined) return { kind: 'absent' }
  const { version, value: bytes } = record
  try {
    return { kind: 'read', value: decode(bytes), version }
  } catch (error) {
    return { kind: 'unreadable', error, version, bytes }
  }
}

function nameIn(bytes: Uint8Array): ReleaseName | undefined {
  try {
    const [line = ''] = new TextDecoder().decode(bytes).split('\n', 1)
    const stored = JSON.parse(line) as { readonly release?: Partial<ReleaseName> }
    const { number, hash } = stored.release ?? {}
    return typeof number === 'number' && typeof hash === 'string' ? { number, hash } : undefined
  } catch {
    return undefined
  }
}
