import type { Origin } from '../client/config.ts'
import type { ConfigIssue } from '../errors.ts'
import { dependencyProblem } from '../namespace/dependency.ts'
import type { Namespace, NamespaceDefinition } from '../namespace/namespace.ts'
import { Secret } from '../namespace/secret.ts'
import { deepFreeze } from '../release/deep-freeze.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { layerAt, mergeLayers } from './layers.ts'
import { parseValues } from './parse.ts'
import type { RawValues } from './running.ts'
import { continueRunning } from './running.ts'
import type { Sources, SourceLayer } from './sources.ts'
import { layersOf } from './sources.ts'

/** What a namespace is resolved from. */
export interface ResolveSources<Value> extends Sources {
  /** What runs now: its static fields stay, and what has not changed is the same object again. */
  readonly staticFrom?: ResolvedNamespace<Value> | undefined
}

/** A namespace as a service reads it. */
export interface ResolvedNamespace<Value> {
  readonly kind: 'resolved'
  /** Its secrets wrapped. Plain objects and arrays are frozen, all the way down; what has a class of its own is not. */
  readonly value: Value
  /** What the schema was given, secrets wrapped. */
  readonly raw: RawValues
  /** Static fields whose published value is another than the running one. */
  readonly pendingRestart: readonly string[]
  /** Where the value at a path comes from; keys from the namespace's root. */
  originOf(path: readonly string[]): Omit<Origin, 'source'>
  /** What the running value of a field is from: of a static one it can be an older release. */
  layersOf(field: string): readonly SourceLayer[]
}

/** A namespace that cannot be applied. */
export interface InvalidNamespace {
  readonly kind: 'invalid'
  /** One at least. They show no secret. */
  readonly issues: readonly ConfigIssue[]
}

/**
 * What a namespace is under a release: the chosen options of templates are put in, secrets decrypted, an override merged on top, and the
 * schema parses what comes out; a namespace that is not in the release is parsed from `{}`. The same for the publisher, who refuses what
 * has issues, and for each instance. Pure but for what the schema does.
 */
export function resolveNamespace<Value>(
  namespace: Namespace<Value, never>,
  sources: ResolveSources<Value>,
): ResolvedNamespace<Value> | InvalidNamespace {
  const { staticFrom } = sources
  const { layers, issues } = layersOf(namespace, sources)
  if (issues.length > 0) return { kind: 'invalid', issues }

  const plain = mergeLayers(layers)
  const parsed = parseValues(namespace, plain)
  if (parsed.kind === 'invalid') return parsed
  const addresses = dependencyIssues(namespace, plain, parsed.output)
  if (addresses.length > 0) return { kind: 'invalid', issues: addresses }

  const next = continueRunning(namespace, { plain, output: parsed.output }, staticFrom)
  if (next.kind === 'invalid') return next
  return {
    kind: 'resolved',
    value: next.value,
    raw: wrapped(namespace.definition, next.plain),
    pendingRestart: next.held,
    ...originsIn(layers, heldLayers(next.held, staticFrom)),
  }
}

function heldLayers(
  held: readonly string[],
  staticFrom: ResolvedNamespace<unknown> | undefined,
): ReadonlyMap<string, readonly SourceLayer[]> {
  return new Map(held.map(field => [field, staticFrom?.layersOf(field) ?? []] as const))
}

// By itself, for what it gives lives on: could it reach what ran before, every release there ever was would stay in memory.
function originsIn(
  layers: readonly SourceLayer[],
  held: ReadonlyMap<string, readonly SourceLayer[]>,
): Pick<ResolvedNamespace<unknown>, 'originOf' | 'layersOf'> {
  const layersOf = (field: string | undefined): readonly SourceLayer[] => held.get(field ?? '') ?? layers
  return { layersOf, originOf: path => originAt(layersOf(path[0]), path) }
}

/** Dependencies are looked at as published and as parsed, so that neither a default nor a transformation brings in an address. */
function dependencyIssues(
  { name, definition }: Namespace<unknown, never>,
  plain: JsonObject,
  output: Readonly<Record<string, unknown>>,
): readonly ConfigIssue[] {
  return definition.dependencies.flatMap(field => {
    const published = plain[field]
    const values = published === undefined ? [output[field]] : [published, output[field]]
    const message = values
      .filter(value => value !== undefined && value !== null)
      .map(dependencyProblem)
      .find(problem => problem !== undefined)
    return message === undefined ? [] : [{ namespace: name, path: [field], message }]
  })
}

function wrapped({ secrets }: NamespaceDefinition, plain: JsonObject): RawValues {
  if (secrets.length === 0 && Object.isFrozen(plain)) return plain
  const values = Object.entries(plain).map(([field, value]) => {
    return [field, secrets.includes(field) ? new Secret<Json>(value) : value] as const
  })
  return deepFreeze(Object.fromEntries(values))
}

function originAt(layers: readonly SourceLayer[], path: readonly string[]): Omit<Origin, 'source'> {
  const { layer, option, release } = layerAt(layers, path) ?? {
    layer: 'default' as const,
    option: undefined,
    release: undefined,
  }
  return { layer, option, release }
}
