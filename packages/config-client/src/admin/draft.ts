import type { ConfigIssue } from '../errors.ts'
import type { Edit } from '../namespace/edit.ts'
import { contentHash, encodeContent, hashOf } from '../release/codec.ts'
import { applyEdits } from '../release/edits.ts'
import { encryptSecrets, isEncrypted } from '../release/encryption.ts'
import type { JsonObject } from '../release/json.ts'
import type { ReleaseContent } from '../release/release.ts'
import type { ReadLayer } from './pinned-options.ts'
import { pinOptions } from './pinned-options.ts'
import type { Rules } from './validation.ts'
import { issuesOf, sizeIssues } from './validation.ts'

/** A content that could be published, and what is wrong with it. */
export interface Draft {
  readonly content: ReleaseContent
  readonly hash: string
  readonly bytes: Uint8Array
  /** Empty when it may be published. */
  readonly issues: readonly ConfigIssue[]
}

/** By what drafts are made. */
export interface Drafting extends Rules {
  readonly encryptWith: string | undefined
  readonly readLayer: ReadLayer
}

/** What edits make of a content: applied, its options pinned, its secrets encrypted, and judged. Writes nothing. */
export async function draftOf(
  drafting: Drafting,
  edits: readonly Edit[],
  before: ReleaseContent | undefined,
): Promise<Draft> {
  const edited = applyEdits(before?.namespaces ?? {}, edits)
  const { namespaces: known, readLayer } = drafting
  const pins = await pinOptions({ namespaces: edited, before, edits, known, readLayer })
  const { namespaces, issues } = encrypted(drafting, edited, before)
  return judged(drafting, { namespaces, options: pins.options }, before, [...pins.issues, ...issues])
}

/** Whether a content says already what the edits say. */
export async function isSaidBy(content: ReleaseContent, edits: readonly Edit[], drafting: Drafting): Promise<boolean> {
  const edited = applyEdits(content.namespaces, edits)
  const { namespaces: known, readLayer } = drafting
  // What its options said then need not be what they say now.
  const { options } = await pinOptions({ namespaces: edited, before: content, edits: [], known, readLayer })
  const { namespaces } = encrypted(drafting, edited, content)
  return contentHash({ namespaces, options }) === contentHash(content)
}

/** A content that was published before, as it would be after `before`. */
export function redraft(rules: Rules, content: ReleaseContent, before: ReleaseContent | undefined): Draft {
  return judged(rules, content, before, [])
}

// What was found already would only be found again, in other words.
function judged(
  rules: Rules,
  content: ReleaseContent,
  before: ReleaseContent | undefined,
  found: readonly ConfigIssue[],
): Draft {
  const bytes = encodeContent(content)
  const refused = new Set(found.map(({ namespace, path }) => `${namespace}.${path[0]}`))
  const judgedIssues = issuesOf(rules, content, before).filter(
    ({ namespace, path }) => !refused.has(`${namespace}.${path[0]}`),
  )
  const issues = [...found, ...judgedIssues, ...sizeIssues(content, bytes.length)]
  return { content, hash: hashOf(bytes), bytes, issues }
}

function encrypted(
  { scope, namespaces: known, secretKeys, encryptWith }: Drafting,
  edited: Readonly<Record<string, JsonObject>>,
  before: ReleaseContent | undefined,
): { readonly namespaces: Readonly<Record<string, JsonObject>>; readonly issues: readonly ConfigIssue[] } {
  const namespaces: Record<string, JsonObject> = { ...edited }
  const issues: ConfigIssue[] = []
  for (const [name, { definition }] of known) {
    const raw = edited[name]
    const plain = definition.secrets.filter(key => raw?.[key] !== undefined && !isEncrypted(raw[key]))
    if (raw === undefined || plain.length === 0) continue
    if (encryptWith === undefined) {
      const message = 'a secret is not published in plain: give the admin `secretKeys` and `encryptWith`'
      issues.push(...plain.map(key => ({ namespace: name, path: [key], message })))
      continue
    }
    const previous = before?.namespaces[name]
    const about = { scope, namespace: name, definition }
    namespaces[name] = encryptSecrets(raw, about, { keys: secretKeys, keyId: encryptWith }, previous)
  }
  return { namespaces, issues }
}
