import type { ConfigStage } from './config/stage.ts'
import type { SingleSite, Site } from './sites/site.ts'
import type { Stage } from './stage/stage.ts'

/** A store on one server, or on none. */
export type SingleKind = 'memory' | 'redis' | 'zookeeper' | 'postgres'

/**
 * - `sentinel`: a Redis, its replicas, and sentinels that replace it
 * - `quorum`: three Redis servers that know nothing of each other
 * - `ensemble`: three ZooKeeper servers
 */
export type BackendKind = SingleKind | 'sentinel' | 'quorum' | 'ensemble'

/** What one run has shown. */
export interface Findings {
  /** A sentence for each promise that was broken. */
  readonly violations: readonly string[]
  /** Of several runs, names in `…Max` keep the greatest, in `…Min` the least, in `bound…` the last; the rest are sums. */
  readonly numbers: Readonly<Record<string, number>>
}

/** How a run is done. */
export type Mode =
  /** As promised. */
  | 'guarded'
  /** Without the guard, or with the naive variant: what it breaks must be found, or the checker is blind. */
  | 'control'

/** A fault, and how it is shown that nothing breaks. */
export type Scenario = LockScenario<Site> | ConfigScenario

interface ScenarioFacts {
  readonly name: string
  readonly backends: readonly BackendKind[]
  /** How many runs there are when nobody says. */
  readonly runs: number
  /** What a run may take. */
  readonly runMsMax: number
  /** How many runs go on at the same time. @default 1 */
  readonly parallelRuns?: number
  /** Whether a busy machine would falsify it: then nothing runs beside it. @default false */
  readonly isTimed?: boolean
}

/** One about locks: on servers that others may use as well, with workers that hold locks. */
export interface LockScenario<S extends Site = SingleSite> extends ScenarioFacts {
  readonly backends: readonly S['kind'][]
  /** Whether it breaks its servers, or what others keep there. @default false */
  readonly breaksServer?: boolean
  /** Whether it cuts links between its servers, which go through proxies for that. @default false */
  readonly cutsLinks?: boolean
  run(stage: Stage<S>, mode: Mode): Promise<Findings>
}

/** One about configuration: on a server of its own, with publishers and readers. */
export interface ConfigScenario extends ScenarioFacts {
  readonly backends: readonly SingleKind[]
  play(stage: ConfigStage, mode: Mode): Promise<Findings>
}
