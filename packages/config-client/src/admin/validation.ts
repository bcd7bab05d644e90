import type { ConfigIssue } from '../errors.ts'
import type { Namespace, NamespaceDefinition } from '../namespace/namespace.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import { keyIssues } from '../namespace/naming.ts'
import type { Template } from '../namespace/template.ts'
import { appOfLayer } from '../namespace/template.ts'
import { canonicalJson } from '../release/canonical-json.ts'
import { withoutSecrets } from '../release/diff.ts'
import type { SecretKeys } from '../release/encryption.ts'
import { isEncrypted } from '../release/encryption.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { isJsonObject } from '../release/json.ts'
import type { ReleaseContent } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { invariantIssues } from '../resolve/invariants.ts'
import { parseValues } from '../resolve/parse.ts'
import { resolveNamespace } from '../resolve/resolve.ts'

/** By what contents are judged. */
export interface Rules {
  readonly scope: Scope
  readonly namespaces: ReadonlyMap<string, Namespace>
  readonly templates: ReadonlyMap<string, Template>
  readonly secretKeys: SecretKeys
}

/** How large a content may be, in bytes of canonical JSON: one record has to hold it. */
export const CONTENT_BYTES_MAX = 524_288

/** All that keeps a content from being published after `before`. */
export function issuesOf(
  rules: Rules,
  content: ReleaseContent,
  before: ReleaseContent | undefined,
): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = []
  for (const [name, raw] of Object.entries(content.namespaces)) {
    if (!rules.namespaces.has(name)) issues.push(...keyIssues(name, withoutSecrets(raw)))
  }
  for (const namespace of rules.namespaces.values()) issues.push(...namespaceIssues(rules, namespace, content, before))
  for (const template of rules.templates.values()) issues.push(...templateIssues(rules, template, content))
  return issues
}

/** The issue of a content that is too large. */
export function sizeIssues(content: ReleaseContent, sizeBytes: number): readonly ConfigIssue[] {
  if (sizeBytes <= CONTENT_BYTES_MAX) return []
  const sizes = Object.entries(content.namespaces).map(([name, raw]) => [name, canonicalJson(raw).length] as const)
  const [largest] = sizes.sort(([, a], [, b]) => b - a)
  const message = `a release has at most ${CONTENT_BYTES_MAX} bytes, this one has ${sizeBytes}; this is its largest namespace`
  return [{ namespace: largest?.[0] ?? '', path: [], message }]
}

function namespaceIssues(
  { scope, secretKeys }: Rules,
  namespace: Namespace,
  content: ReleaseContent,
  before: ReleaseContent | undefined,
): readonly ConfigIssue[] {
  const { name, definition } = namespace
  // Who has never published it has not decided on it; who removes it has.
  if (content.namespaces[name] === undefined && before?.namespaces[name] === undefined) return []
  // What is not touched need not be decrypted by who cannot.
  if (!hasKeys(content.namespaces[name] ?? {}, definition, secretKeys) && !isTouched(namespace, content, before))
    return []
  const next = resolveNamespace(namespace, { content, scope, secretKeys })
  if (next.kind === 'invalid') return next.issues
  if (definition.invariants.length === 0) return []
  const previous =
    before === undefined ? undefined : resolveNamespace(namespace, { content: before, scope, secretKeys })
  return invariantIssues(namespace, next.value, previous?.kind === 'resolved' ? previous.value : undefined)
}

function hasKeys(raw: JsonObject, { secrets }: NamespaceDefinition, keys: SecretKeys): boolean {
  return secrets.every(field => {
    const value = raw[field]
    return !isEncrypted(value) || Object.hasOwn(keys, value.$secret.keyId)
  })
}

function isTouched(namespace: Namespace, content: ReleaseContent, before: ReleaseContent | undefined): boolean {
  if (before === undefined) return true
  return canonicalJson(ownPart(content, namespace)) !== canonicalJson(ownPart(before, namespace))
}

// A namespace, and the options that it chose.
function ownPart({ namespaces, options }: ReleaseContent, { name, definition }: Namespace): Json {
  const raw = namespaces[name] ?? null
  if (Object.keys(definition.options).length === 0) return raw
  return [raw, options as unknown as Json]
}

function templateIssues({ scope }: Rules, template: Template, content: ReleaseContent): readonly ConfigIssue[] {
  if (scope.app !== appOfLayer(template.layer)) return []
  const offered = Object.entries(content.namespaces[template.name] ?? {})
  return offered.flatMap(([option, value]) => optionIssues(template, option, value))
}

function optionIssues({ name, schema }: Template, option: string, value: Json): readonly ConfigIssue[] {
  const at = (path: readonly string[], message: string): ConfigIssue => ({
    namespace: name,
    path: [option, ...path],
    message,
  })
  if (!isJsonObject(value)) return [at([], 'is not an object')]
  const parsed = parseValues(defineNamespace(name, { schema }), value)
  return parsed.kind === 'parsed' ? [] : parsed.issues.map(({ path, message }) => at(path, message))
}
