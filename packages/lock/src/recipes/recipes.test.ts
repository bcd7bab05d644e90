import { describe, expect, it } from 'vitest'
import { REPLICATED_STORES } from './replicated-stores.fixture.ts'
import { STORES } from './stores.fixture.ts'
import { RECIPES, readMatrix, runRecipes } from './suite.fixture.ts'

describe('The table "What works where"', () => {
  const { columns, rows } = readMatrix()

  it('has the stores and the recipes that are run here, and says of each pair what is checked', () => {
    expect(new Set(columns)).toEqual(new Set([...STORES, ...REPLICATED_STORES].map(({ column }) => column)))
    expect([...rows.keys()]).toEqual(RECIPES.map(({ row }) => row))
    for (const { row, refused, absent } of RECIPES) {
      const checked = [
        'yes',
        ...(refused === undefined ? [] : ['`HF_UNSUPPORTED`']),
        ...(absent === undefined ? [] : ['no']),
      ]
      const others = rows.get(row)?.filter(cell => !checked.includes(cell))
      expect([row, others?.filter(cell => cell !== '')]).toEqual([row, []])
    }
  })
})

describe.each(STORES)('On $name', store => {
  runRecipes(store)
})
