import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyObject, reread } from '../release/json.fixture.ts'
import type { Json, JsonObject } from '../release/json.ts'
import { isJsonObject } from '../release/json.ts'
import type { LayerValues } from './layers.ts'
import { LAYERS, layerAt, mergeLayers } from './layers.ts'

const layer = (name: LayerValues['layer'], values: JsonObject): LayerValues => ({ layer: name, values })
const NAMES = ['infrastructure', 'platform', 'application', 'override'] as const

/** Up to one of each layer, in any order. */
const anyLayers = fc
  .shuffledSubarray([...NAMES])
  .chain(names => fc.tuple(...names.map(name => anyObject.map(values => layer(name, values)))))

/** The paths to all that is no object with keys. */
function leavesOf(value: Json, path: readonly string[] = []): (readonly string[])[] {
  if (!isJsonObject(value) || Object.keys(value).length === 0) return [path]
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
}

function valueAt(value: Json | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, key) => (isJsonObject(inner) ? inner[key] : undefined), value)
}

describe('layers', () => {
  it('stand above each other in this order', () => {
    expect(LAYERS).toEqual(['default', ...NAMES])
  })

  it('are merged object by object; of all else the highest stands', () => {
    const layers = [
      layer('override', { a: { x: 9 } }),
      layer('infrastructure', { a: { x: 1, y: 1, z: 1 }, list: [1, 2] }),
      layer('application', { a: { y: 3 }, list: [3], none: null }),
      layer('platform', { a: { y: 2, z: 2 } }),
    ]
    expect(mergeLayers(layers)).toEqual({ a: { x: 9, y: 3, z: 2 }, list: [3], none: null })
    expect(layerAt(layers, ['a', 'x'])?.layer).toBe('override')
    expect(layerAt(layers, ['a', 'y'])?.layer).toBe('application')
    expect(layerAt(layers, ['a', 'z'])?.layer).toBe('platform')
    expect(layerAt(layers, ['list'])?.layer).toBe('application')
    expect(layerAt(layers, ['list', '0'])?.layer).toBe('application')
    expect(layerAt(layers, ['none'])?.layer).toBe('application')
    expect(layerAt(layers, ['missing'])).toBeUndefined()
    expect(layerAt(layers, ['a', 'missing'])).toBeUndefined()
  })

  it('lose to the default what an override takes away', () => {
    const layers = [layer('application', { a: { b: 1 }, c: 1 }), layer('override', { a: null, c: null })]
    expect(mergeLayers(layers)).toEqual({})
    expect(layerAt(layers, ['a'])).toBeUndefined()
    expect(layerAt(layers, ['a', 'b'])).toBeUndefined()
  })

  it('say nothing of what stood in something that a layer above has replaced', () => {
    const layers = [
      layer('infrastructure', { a: { deep: 1 } }),
      layer('platform', { a: 5 }),
      layer('application', { a: { b: 1 } }),
    ]
    expect(mergeLayers(layers)).toEqual({ a: { b: 1 } })
    expect(layerAt(layers, ['a', 'deep'])).toBeUndefined()
    expect(layerAt(layers, ['a', 'b'])?.layer).toBe('application')
    expect(layerAt(layers.slice(0, 2), ['a', 'b'])?.layer).toBe('platform')
  })

  it('give each value from the highest layer that has it', () => {
    fc.assert(
      fc.property(anyLayers, layers => {
        const merged = mergeLayers(layers)
        for (const path of leavesOf(merged)) {
          if (path.length === 0) continue
          const origin = layerAt(layers, path)
          const above = layers.filter(
            ({ layer: name }) => origin === undefined || LAYERS.indexOf(name) > LAYERS.indexOf(origin.layer),
          )
          expect(reread(valueAt(origin?.values, path))).toEqual(reread(valueAt(merged, path)))
          expect(above.map(({ values }) => valueAt(values, path))).toEqual(above.map(() => undefined))
        }
      }),
      { seed: 5, numRuns: 500 },
    )
  })

  it('mean the same in whatever order they are given', () => {
    fc.assert(
      fc.property(anyLayers, layers => {
        expect(mergeLayers([...layers].reverse())).toEqual(mergeLayers(layers))
      }),
      { seed: 6, numRuns: 200 },
    )
  })
})
