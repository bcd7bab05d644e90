import type { OriginLayer } from '../client/config.ts'
import { isEncrypted } from '../release/encryption.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { isJsonObject } from '../release/json.ts'
import { mergePatch } from '../release/merge-patch.ts'

/** The layers that a value can come from, the lowest first: each stands above those before it. */
export const LAYERS: readonly OriginLayer[] = Object.freeze([
  'default',
  'infrastructure',
  'platform',
  'application',
  'override',
] as const)

/** What a layer says. `default` says nothing here: defaults are the schema's. */
export interface LayerValues {
  readonly layer: Exclude<OriginLayer, 'default'>
  /** In an `override` null takes away what the layers below say; in the others it is a value. */
  readonly values: JsonObject
}

/** What the layers say together, object by object; of all else the highest layer's stands. */
export function mergeLayers(layers: readonly LayerValues[]): JsonObject {
  const [only, ...others] = layers
  // What is frozen is a content's own object, which nobody can change: most namespaces are no more than that.
  if (only?.layer === 'application' && others.length === 0 && Object.isFrozen(only.values)) return only.values
  return lowestFirst(layers).reduce<JsonObject>(
    (below, { layer, values }) => (layer === 'override' ? mergePatch(below, values) : overlay(below, values)),
    {},
  )
}

/** The highest layer that has the value at a path; undefined when none has, so that it is a default. */
export function layerAt<Layer extends LayerValues>(
  layers: readonly Layer[],
  path: readonly string[],
): Layer | undefined {
  // How many keys of the path lead to objects in a layer above: what is no object there in a layer below is covered by them.
  let covered = 0
  for (const layer of lowestFirst(layers).reverse()) {
    const { value, depth } = walk(layer.values, path)
    const isRemoval = value === null && layer.layer === 'override'
    if (isRemoval) return undefined
    if (depth === path.length && value !== undefined) return layer
    if (value !== undefined && !isTree(value)) return depth > covered ? layer : undefined
    covered = Math.max(covered, depth)
  }
  return undefined
}

/** As far along the path as there is something: the value there, and how many keys led to it. Undefined is a key that is missing. */
function walk(
  values: JsonObject,
  path: readonly string[],
): { readonly value: Json | undefined; readonly depth: number } {
  let value: Json = values
  for (const [depth, key] of path.entries()) {
    if (!isTree(value)) return { value, depth }
    const next: Json | undefined = Object.hasOwn(value, key) ? value[key] : undefined
    if (next === undefined) return { value: undefined, depth }
    value = next
  }
  return { value, depth: path.length }
}

function overlay(below: Json | undefined, above: JsonObject): JsonObject {
  const merged = new Map<string, Json>(isTree(below) ? Object.entries(below) : [])
  for (const [key, value] of Object.entries(above)) {
    merged.set(key, isTree(value) ? overlay(merged.get(key), value) : value)
  }
  return Object.fromEntries(merged)
}

function isTree(value: Json | undefined): value is JsonObject {
  return isJsonObject(value) && !isEncrypted(value)
}

function lowestFirst<Layer extends LayerValues>(layers: readonly Layer[]): Layer[] {
  return [...layers].sort((a, b) => LAYERS.indexOf(a.layer) - LAYERS.indexOf(b.layer))
}
