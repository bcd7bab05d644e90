import assert from 'node:assert/strict'
import type { Grant } from '../../../ports/leases.ts'
import type { LeaseCase } from '../lease-case.ts'
import { HOP_MS } from '../scene.ts'
import type { Waiting } from '../scene.ts'

/** Names that a store could take for another, for several, or for something of its own. */
const AWKWARD: readonly string[] = [
  'a',
  'A',
  ' a',
  'a ',
  '{a}',
  'a}{',
  '{}',
  '{',
  '}',
  'a{b}c',
  'a:b',
  'a:l',
  'a:q',
  'a/b',
  'a//b',
  'a/b/',
  '/a/b',
  'a%2Fb',
  'a%252Fb',
  '%',
  '%00',
  '.',
  '..',
  './a',
  'a/../b',
  'a/./b',
  '*',
  'a*',
  'a?[b]',
  '"quoted"',
  "it's",
  'back\\slash',
  'zookeeper',
  'lock-0000000000',
  '_c_00000000-0000-0000-0000-000000000000-lock-0000000001',
  'é',
  'e\u0301',
  '水',
  '🔒',
  '\u{10FFFF}',
  '\u2028',
  '\uFEFF',
  'n'.repeat(200),
  `${'n'.repeat(199)}m`,
  '水'.repeat(66),
  '%'.repeat(200),
  '{'.repeat(200),
  '/'.repeat(200),
]

/** Every name that a user may choose is a resource of its own. */
export const nameCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'Names with braces, percent signs, slashes, dots, Unicode and 200 bytes are all different resources.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grants: Grant[] = []
      for (const name of AWKWARD) grants.push(await scene.take(one, name, { meta: { name } }))
      for (const name of AWKWARD) {
        assert.equal(await scene.probe(other, name), 'held', `The name ${JSON.stringify(name)}`)
        const info = await scene.within(other.leases.inspect(name), HOP_MS, 'the answer')
        assert.deepEqual([info.resource, info.holder?.meta['name']], [name, name])
      }
      for (const grant of grants) assert.equal(await scene.release(one, grant), 'released')
      for (const name of AWKWARD) await scene.nothingLeft(name)
    },
  },
  {
    promise: 'L6',
    name: 'One who waits under an awkward name is handed exactly that resource.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held: Grant[] = []
      const waiting: Waiting[] = []
      for (const name of AWKWARD) {
        held.push(await scene.take(one, name))
        const entry = scene.wait(other, name)
        await scene.queued(one, entry)
        waiting.push(entry)
      }
      for (const [index, grant] of held.entries()) {
        await scene.release(one, grant)
        const entry = waiting[index]
        assert.ok(entry !== undefined)
        const next = await scene.within(entry.promise, HOP_MS, `the resource ${JSON.stringify(grant.request.resource)}`)
        assert.equal(next.request.resource, grant.request.resource)
        assert.equal(
          waiting.slice(index + 1).every(({ state }) => state === 'pending'),
          true,
        )
        await scene.release(other, next)
      }
    },
  },
]
