import fc from 'fast-check'
import type { Json, JsonObject } from './json.ts'

const { tree } = fc.letrec<{ tree: Json; leaf: Json; object: JsonObject }>(tie => ({
  leaf: fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.constantFrom('', 'a', 'é🔒'),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'é', '1'), tie('tree'), { maxKeys: 4 }),
  tree: fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('object'), fc.array(tie('tree'), { maxLength: 3 })),
}))

/** JSON without null, of few keys, so that two of them have much in common. */
export const anyTree: fc.Arbitrary<Json> = tree

/** An object of it. */
export const anyObject: fc.Arbitrary<JsonObject> = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tree, {
  maxKeys: 4,
})

/** As it is after a way through a text: with prototypes, and without -0. */
export function reread<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}
