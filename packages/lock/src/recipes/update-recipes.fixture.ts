import { recordCell } from '@holdfast/core'
import { expect } from 'vitest'
import type { Recipe, RecipeCase } from './recipe.fixture.ts'
import type { Scene } from './scene.fixture.ts'
import type { Update } from './store.fixture.ts'
import { updateOfBytes } from './stores.fixture.ts'

const WRITERS = 6
const WRITES = 5
const PATIENT = { attemptsMax: 1_000, backOffMs: 2 }

/** An `Update` of one count for each of several writers. */
type Updates = (scene: Scene, writers: number) => Promise<readonly Update[]>

const ofRecords: Updates = async (scene, writers) =>
  Array.from({ length: writers }, () => {
    const { backend } = scene.party()
    return updateOfBytes(recordCell(backend, { directory: scene.name, id: 'count' }))
  })

const ofOwn: Updates = async (scene, writers) => {
  const { backend } = scene.party()
  const update = await scene.servers.own?.(backend, scene.name)
  if (update === undefined) throw new Error(`${scene.store.name} has nothing of its own to write.`)
  return Array.from({ length: writers }, () => update)
}

function casesOf(updates: Updates): readonly RecipeCase[] {
  return [
    {
      name: 'loses no write of those that meet',
      run: async scene => {
        const writing = (await updates(scene, WRITERS)).map(async update => {
          for (let write = 0; write < WRITES; write += 1) await update(count => count + 1, PATIENT)
        })
        await Promise.all(writing)
        const [update] = await updates(scene, 1)
        let seen = 0
        await update?.(count => (seen = count))
        expect(seen).toBe(WRITERS * WRITES)
      },
    },
    {
      name: 'writes nothing, and says so, when another was quicker each time',
      run: async scene => {
        const [slow, quick] = await updates(scene, 2)
        const overtaken = async (count: number): Promise<number> => {
          await quick?.(before => before + 1)
          return count + 100
        }
        await expect(slow?.(overtaken, { attemptsMax: 2 })).rejects.toMatchObject({ code: 'HF_CONFLICT' })
        let seen = 0
        await quick?.(count => (seen = count))
        expect(seen).toBe(2)
      },
    },
  ]
}

const records: Recipe = {
  row: '`updateIfUnchanged` of a record',
  cases: casesOf(ofRecords),
  refused: scene => [async () => (await ofRecords(scene, 1))[0]?.(count => count + 1)],
}

const own: Recipe = {
  row: '`updateIfUnchanged` of a key, node or row of yours',
  cases: casesOf(ofOwn),
  refused: scene => [() => ofOwn(scene, 1)],
}

export const UPDATE_RECIPES: readonly Recipe[] = [records, own]
