import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BARRIER_RECIPES } from './barrier-recipes.fixture.ts'
import { ELECTION_RECIPES } from './election-recipes.fixture.ts'
import { FAILOVER_CASES } from './failover.fixture.ts'
import { LOCK_RECIPES } from './lock-recipes.fixture.ts'
import type { Recipe, RecipeCase } from './recipe.fixture.ts'
import { Scene } from './scene.fixture.ts'
import { SHARED_RECIPES } from './shared-recipes.fixture.ts'
import type { Servers, Store } from './store.fixture.ts'
import { UPDATE_RECIPES } from './update-recipes.fixture.ts'

export const RECIPES: readonly Recipe[] = [
  ...LOCK_RECIPES,
  ...SHARED_RECIPES,
  ...ELECTION_RECIPES,
  ...BARRIER_RECIPES,
  ...UPDATE_RECIPES,
]

const TIMEOUT_MS = 180_000

/** The table "What works where" of the guide, which says what is run: a cell by recipe and store. */
export function readMatrix(): {
  readonly columns: readonly string[]
  readonly rows: ReadonlyMap<string, readonly string[]>
} {
  const page = readFileSync(new URL('../../../../docs/which-store.md', import.meta.url), 'utf8')
  const [, section = ''] = page.split('\n## What works where\n')
  const [head = [], , ...rows] = section
    .slice(section.indexOf('\n| '))
    .trim()
    .split(/\n(?!\|)/, 1)
    .flatMap(table => table.split('\n'))
    .map(line =>
      line
        .slice(1, -1)
        .split('|')
        .map(cell => cell.trim()),
    )
  return { columns: head.slice(1), rows: new Map(rows.map(([row = '', ...cells]) => [row, cells])) }
}

/** Runs every recipe on a store: what the guide says is there keeps its promises, and what it says is refused is. */
export function runRecipes(store: Store): void {
  const { columns, rows } = readMatrix()
  const at = columns.indexOf(store.column)
  let servers: Servers
  beforeAll(async () => {
    servers = await store.start()
  })

  afterAll(() => servers.stop())

  const play = async ({ run }: RecipeCase): Promise<void> => {
    await using scene = new Scene(store, servers)
    await run(scene)
  }

  const possible = RECIPES.flatMap(recipe =>
    casesFor(recipe, rows.get(recipe.row)?.[at])
      .filter(({ cutsLinks }) => store.hasLinks || cutsLinks === undefined)
      .map(each => ({ ...each, row: recipe.row })),
  )
  // Most of the time of each is waiting.
  it.concurrent.each(possible)('$row: $name', { timeout: TIMEOUT_MS }, async each => {
    expect(await play(each)).toBeUndefined()
  })

  // One after the other, once all others are over: the server stays dead.
  it.each(store.failsOver ? FAILOVER_CASES : [])('$name', { timeout: TIMEOUT_MS }, async each => {
    expect(await play(each)).toBeUndefined()
  })
}

function casesFor(recipe: Recipe, cell: string | undefined): readonly RecipeCase[] {
  switch (cell) {
    case 'yes':
      return recipe.cases
    case '`HF_UNSUPPORTED`':
      return [{ name: 'is refused', run: scene => isRefused(recipe, scene) }]
    case 'no':
      return recipe.absent === undefined ? [] : [recipe.absent]
    default:
      return []
  }
}

async function isRefused({ refused }: Recipe, scene: Scene): Promise<void> {
  const asked = refused?.(scene) ?? []
  expect(asked.length).toBeGreaterThan(0)
  for (const ask of asked) {
    await expect((async () => await ask())()).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
  }
}
