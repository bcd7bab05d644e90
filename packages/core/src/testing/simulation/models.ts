import type { LeaseMode } from '../../ports/leases.ts'

/** Somebody takes a lock or gives it back. An owner is whoever may hold it again while it holds it. */
export interface LockStep {
  readonly kind: 'acquire' | 'release'
  readonly atMs: number
  readonly resource: string
  readonly owner: string
  readonly token?: bigint | undefined
  /** Of readers and writers. */
  readonly mode?: LeaseMode['kind'] | 'exclusive' | undefined
  /** Of permits. */
  readonly slot?: number | undefined
}

/**
 * What a lock does, one step at a time: each returned function follows one resource, and answers why a step breaks the promise, or
 * undefined. Steps stand in the order of true time, so a model need not search for an order in which all would be well.
 *
 * @see https://jepsen.io/analyses/hazelcast-3.8.3 and https://github.com/jepsen-io/jepsen/tree/main/hazelcast (the models)
 */
export type LockModel = () => (step: LockStep) => string | undefined

/** A step that a model does not allow. */
export interface ModelViolation {
  readonly step: LockStep
  readonly why: string
}

/** Looks for steps that the model does not allow, for each resource by itself; those that it finds are taken as having happened. */
export function checkLockSteps(steps: readonly LockStep[], model: LockModel): readonly ModelViolation[] {
  const followers = new Map<string, (step: LockStep) => string | undefined>()
  const found: ModelViolation[] = []
  for (const step of steps) {
    let follow = followers.get(step.resource)
    if (follow === undefined) followers.set(step.resource, (follow = model()))
    const why = follow(step)
    if (why !== undefined) found.push({ step, why })
  }
  return found
}

/** One holder at a time, and only it gives the lock back. */
export const mutexModel: LockModel = () => follow({ depthMax: 1, isFenced: false })

/** As `mutexModel`, with a token that grows with every grant. */
export const fencedMutexModel: LockModel = () => follow({ depthMax: 1, isFenced: true })

/** One owner at a time, which may hold it up to `depthMax` times. */
export function reentrantMutexModel(depthMax: number = Infinity): LockModel {
  return () => follow({ depthMax, isFenced: false })
}

/** As `reentrantMutexModel`; the token grows with every owner, and stays the same while one holds it. */
export function reentrantFencedMutexModel(depthMax: number = Infinity): LockModel {
  return () => follow({ depthMax, isFenced: true })
}

/** At most `limit` at a time, no two with one slot. */
export function permitsModel(limit: number): LockModel {
  return () => {
    const held = new Map<string, LockStep>()
    return step => {
      const key = `${step.owner} ${step.token ?? step.slot}`
      if (step.kind === 'release') {
        return held.delete(key) ? undefined : `${step.owner} gives back a permit that it does not hold`
      }
      const other = [...held.values()].find(({ slot }) => slot !== undefined && slot === step.slot)
      const isFull = held.size >= limit
      held.set(key, step)
      if (other !== undefined) return `${step.owner} has the slot ${step.slot} of ${other.owner}`
      return isFull ? `${step.owner} holds beside ${held.size - 1} others, of ${limit} permits` : undefined
    }
  }
}

/** Many readers or one writer; a writer's token is greater than those before, a reader's no less. */
export const readWriteModel: LockModel = () => {
  const held = new Map<string, LockStep>()
  let newest = -1n
  return step => {
    const key = `${step.owner} ${step.mode} ${step.token}`
    if (step.kind === 'release') {
      return held.delete(key) ? undefined : `${step.owner} gives back what it does not hold`
    }
    const isReader = step.mode === 'read'
    const other = [...held.values()].find(({ mode }) => !isReader || mode !== 'read')
    held.set(key, step)
    if (other !== undefined) return `${step.owner} ${verbOf(step)} beside ${other.owner}, who ${verbOf(other)}`
    const token = step.token ?? newest + 1n
    const isStale = isReader ? token < newest : token <= newest
    const before = newest
    if (token > newest) newest = token
    return isStale ? `${step.owner} has the token ${token} after ${before}` : undefined
  }
}

function verbOf({ mode }: LockStep): string {
  return mode === 'read' ? 'reads' : 'writes'
}

function follow(rules: {
  readonly depthMax: number
  readonly isFenced: boolean
}): (step: LockStep) => string | undefined {
  const { depthMax, isFenced } = rules
  let owner: string | undefined
  let depth = 0
  let token = -1n
  const take = (step: LockStep): string | undefined => {
    owner = step.owner
    depth = 1
    const before = token
    const now = step.token ?? before + 1n
    token = now > before ? now : before
    return isFenced && now <= before ? `${step.owner} has the token ${now} after ${before}` : undefined
  }
  return step => {
    if (step.kind === 'release') {
      if (owner !== step.owner) return `${step.owner} gives back what ${owner ?? 'nobody'} holds`
      depth -= 1
      if (depth === 0) owner = undefined
      return undefined
    }
    if (owner === undefined) return take(step)
    if (owner !== step.owner) {
      const before = owner
      take(step)
      return `${step.owner} holds it while ${before} does`
    }
    depth += 1
    if (depth > depthMax) return `${step.owner} holds it ${depth} times, of ${depthMax}`
    const isSame = step.token === undefined || step.token === token
    return isFenced && !isSame ? `${step.owner} holds it again with the token ${step.token}, not ${token}` : undefined
  }
}
