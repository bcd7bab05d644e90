import type { Happening } from '../happening.ts'
import type { ShopOptions } from '../shop/shop.ts'

/** One worker, as whoever plays tricks on it sees it. */
export interface CrewMember {
  readonly worker: number
  /** Everybody is there: begin to sell. */
  openDoors(): void
  /** Its next customer takes so long that a fault can strike meanwhile. */
  hesitate(): void
  /** It stands still, whatever it holds, until `resume`. */
  stop(): void
  resume(): void
  /** It is gone at once, whatever it holds. */
  kill(): void
  /** Resolves once it is gone, however that came. */
  readonly gone: Promise<void>
}

export interface Crew {
  readonly members: readonly CrewMember[]
  /** Whether `kill` works: a task cannot be killed without its process. */
  readonly canBeKilled: boolean
  /** Ends everybody who is left, at once. */
  dismiss(): Promise<void>
}

/** How a crew is hired. */
export interface CrewOptions extends ShopOptions {
  readonly workers: number
  /** Hears what the workers tell, and their faults. */
  readonly onHappening: (happening: Happening) => void
}
