import { show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { keyIssues } from '../namespace/naming.ts'
import type { Template } from '../namespace/template.ts'
import { optionKey } from '../namespace/template.ts'
import type { SecretKeys } from '../release/encryption.ts'
import { decryptSecrets, isEncrypted } from '../release/encryption.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { isJsonObject, jsonBytesAtMost } from '../release/json.ts'
import { jsonProblemOf } from '../release/json-problem.ts'
import type { ReleaseContent, ReleaseName } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import type { LayerValues } from './layers.ts'

/** What the values of a namespace are taken from. */
export interface Sources {
  /** Undefined where there is no release: then all is the schema's defaults, and the override's. */
  readonly content: ReleaseContent | undefined
  /** The release whose content it is, so that values can tell where they come from. */
  readonly release?: ReleaseName | undefined
  /** A merge patch on top of all that was published. For a template's field: another option's id, or a patch of what the option says. */
  readonly override?: JsonObject | undefined
  readonly scope: Scope
  readonly secretKeys?: SecretKeys | undefined
}

/** A layer of a namespace, and where it comes from. */
export interface SourceLayer extends LayerValues {
  readonly option: string | undefined
  readonly release: ReleaseName | undefined
}

/** The layers of a namespace, its secrets in plain, and what is wrong with them. */
export interface Layering {
  readonly layers: readonly SourceLayer[]
  readonly issues: readonly ConfigIssue[]
}

/** The layers that say something of a namespace. Where there are issues they are not complete. */
export function layersOf(namespace: Namespace<unknown, never>, sources: Sources): Layering {
  const { name, definition } = namespace
  const { content, override = {}, release } = sources
  const published = content === undefined ? undefined : own(content.namespaces, name)
  const problem = jsonProblemOf(override)
  if (problem !== undefined) {
    return { layers: [], issues: [{ namespace: name, path: problem.path, message: `the override ${problem.message}` }] }
  }

  const options = Object.entries(definition.options).map(([field, template]) =>
    optionLayer(namespace, { field, template, chosen: chosenOption(field, published, override) }, content),
  )
  const application = applicationValues(namespace, published ?? {}, sources)
  const layers: SourceLayer[] = options.flatMap(({ layer }) => layer ?? [])
  if (published !== undefined) {
    layers.push({ layer: 'application', values: application.values, option: undefined, release })
  }
  const above = without(override, renamedOptions(namespace, override))
  if (Object.keys(above).length > 0) {
    layers.push({ layer: 'override', values: above, option: undefined, release: undefined })
  }
  const issues = [
    ...publishedIssues(namespace, published ?? {}),
    ...options.flatMap(({ issue }) => issue ?? []),
    ...application.issues,
  ]
  return { layers, issues }
}

/** The fields for which an override chooses another option: the option's layer says then what they are. */
function renamedOptions({ definition }: Namespace<unknown, never>, override: JsonObject): readonly string[] {
  return Object.keys(definition.options).filter(field => typeof own(override, field) === 'string')
}

function publishedIssues({ name, definition }: Namespace<unknown, never>, published: JsonObject): ConfigIssue[] {
  // What is in a secret is nobody's to name in an issue, and encrypted it has keys of its own; also where this definition does not
  // know (yet) that the field is one.
  const isHidden = (field: string): boolean => definition.secrets.includes(field) || isEncrypted(published[field])
  const named = Object.keys(published).some(isHidden)
    ? Object.fromEntries(Object.entries(published).map(([field, value]) => [field, isHidden(field) ? null : value]))
    : published
  return [...sizeIssues(name, published, definition.maxBytes), ...keyIssues(name, named)]
}

function sizeIssues(namespace: string, published: JsonObject, maxBytes: number): ConfigIssue[] {
  // What is far from the limit need not be printed to be measured.
  if (jsonBytesAtMost(published) <= maxBytes) return []
  // Canonical JSON has another order, and the same size.
  const sizeBytes = Buffer.byteLength(JSON.stringify(published))
  const message = `has ${sizeBytes} bytes of canonical JSON, and its \`maxBytes\` is ${maxBytes}`
  return sizeBytes > maxBytes ? [{ namespace, path: [], message }] : []
}

function chosenOption(field: string, published: JsonObject | undefined, override: JsonObject): Json | undefined {
  const overriding = own(override, field)
  return typeof overriding === 'string' ? overriding : own(published ?? {}, field)
}

function optionLayer(
  { name }: Namespace<unknown, never>,
  choice: { readonly field: string; readonly template: Template; readonly chosen: Json | undefined },
  content: ReleaseContent | undefined,
): { readonly layer?: SourceLayer; readonly issue?: ConfigIssue } {
  const { field, template, chosen } = choice
  if (chosen === undefined) return {}
  if (typeof chosen !== 'string') {
    const message = `expected the id of an option of ${template.layer}/${template.name}, got ${show(chosen)}`
    return { issue: { namespace: name, path: [field], message } }
  }
  const option = optionKey(template, chosen)
  const pinned = content === undefined ? undefined : own(content.options, option)
  if (pinned === undefined) {
    return { issue: { namespace: name, path: [field], message: `the option ${option} is not pinned in the release` } }
  }
  return { layer: { layer: template.layer, values: { [field]: pinned.value }, option, release: pinned.release } }
}

/** What the application layer says itself, secrets in plain. Secrets that an override replaces need no key. */
function applicationValues(
  { name, definition }: Namespace<unknown, never>,
  published: JsonObject,
  { override = {}, scope, secretKeys = {} }: Sources,
): { readonly values: JsonObject; readonly issues: readonly ConfigIssue[] } {
  const replaced = definition.secrets.filter(field => {
    return Object.hasOwn(override, field) && !isJsonObject(override[field])
  })
  const values = without(published, [...Object.keys(definition.options), ...replaced])
  const decrypted = decryptSecrets(values, { scope, namespace: name, definition }, secretKeys)
  return decrypted.kind === 'decrypted' ? { values: decrypted.raw, issues: [] } : { values, issues: decrypted.issues }
}

function own<T>(values: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined
}

function without(values: JsonObject, keys: readonly string[]): JsonObject {
  if (keys.length === 0) return values
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)))
}
