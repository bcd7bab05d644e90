import type { Scene } from './scene.fixture.ts'

/** What a recipe does in one situation. */
export interface RecipeCase {
  readonly name: string
  /** Whether a party is cut off in it. */
  readonly cutsLinks?: true
  run(scene: Scene): Promise<void>
}

/** A recipe, and what is promised of it wherever the guide says that it is there. */
export interface Recipe {
  /** Of the table "What works where". */
  readonly row: string
  readonly cases: readonly RecipeCase[]
  /** Every way to ask for it, each of which is refused where the guide says so. */
  refused?(scene: Scene): readonly (() => unknown)[]
  /** What is there in its place, where the guide says no more than "no". */
  readonly absent?: RecipeCase
}

/** How long a case waits for what must happen. */
export const PATIENCE = { waitMs: 120_000 } as const

/** How long one waits for what does not happen: long enough for every store to say so, on a busy machine. */
export const BRIEF = { waitMs: 2_000 } as const
