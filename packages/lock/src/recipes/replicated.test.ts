import { describe } from 'vitest'
import { REPLICATED_STORES } from './replicated-stores.fixture.ts'
import { runRecipes } from './suite.fixture.ts'

describe.each(REPLICATED_STORES)('On $name', store => {
  runRecipes(store)
})
