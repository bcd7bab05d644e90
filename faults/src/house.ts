import type { BackendKind, LockScenario } from './scenario.ts'
import { ensembleSite } from './sites/ensemble.ts'
import { memorySite } from './sites/memory.ts'
import { postgresSite } from './sites/postgres.ts'
import { quorumSite } from './sites/quorum.ts'
import { redisSite } from './sites/redis.ts'
import { sentinelSite } from './sites/sentinel.ts'
import type { Site } from './sites/site.ts'
import { zookeeperSite } from './sites/zookeeper.ts'

/** The servers of all scenarios about locks: one of each kind is shared by those that leave their server whole. */
export class House implements AsyncDisposable {
  readonly #shared = new Map<BackendKind, Promise<Site>>()

  /** What a scenario plays on; `leave` when it is over. */
  async enter(
    scenario: LockScenario<Site>,
    backend: BackendKind,
  ): Promise<{ readonly site: Site; readonly leave: () => Promise<void> }> {
    if (scenario.breaksServer === true) {
      const own = await open(backend, { isDurable: false, hasLinks: scenario.cutsLinks === true })
      return { site: own, leave: async () => await own[Symbol.asyncDispose]() }
    }
    const shared = this.#shared.get(backend) ?? open(backend, { isDurable: true, hasLinks: false })
    this.#shared.set(backend, shared)
    return { site: await shared, leave: async () => {} }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sites = await Promise.allSettled(this.#shared.values())
    for (const site of sites) if (site.status === 'fulfilled') await site.value[Symbol.asyncDispose]()
  }
}

async function open(
  backend: BackendKind,
  { isDurable, hasLinks }: { readonly isDurable: boolean; readonly hasLinks: boolean },
): Promise<Site> {
  switch (backend) {
    case 'memory':
      return memorySite()
    case 'redis':
      return await redisSite({ isDurable })
    case 'sentinel':
      return await sentinelSite()
    case 'quorum':
      return await quorumSite()
    case 'ensemble':
      return await ensembleSite({ hasLinks })
    case 'zookeeper':
      return await zookeeperSite()
    case 'postgres':
      return await postgresSite()
  }
}
