import assert from 'node:assert/strict'
import type { Grant } from '../../../ports/leases.ts'
import { AWKWARD_NAMES } from '../awkward-names.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

/** Every name that a user may choose is a resource of its own. */
export const nameCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'Names with braces, percent signs, slashes, dots, Unicode and 200 bytes are all different resources.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grants: Grant[] = []
      for (const name of AWKWARD_NAMES) grants.push(await scene.take(one, name, { meta: { name } }))
      for (const name of AWKWARD_NAMES) {
        assert.equal(await scene.probe(other, name), 'held', `The name ${JSON.stringify(name)}`)
        const info = await scene.within(other.leases.inspect(name), HOP_MS, 'the answer')
        assert.deepEqual([info.resource, info.holder?.meta['name']], [name, name])
      }
      for (const grant of grants) assert.equal(await scene.release(one, grant), 'released')
      for (const name of AWKWARD_NAMES) await scene.nothingLeft(name)
    },
  },
  {
    promise: 'L6',
    name: 'One who waits under an awkward name is handed exactly that resource.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held: Grant[] = []
      const waiting: Waiting[] = []
      for (const name of AWKWARD_NAMES) {
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
