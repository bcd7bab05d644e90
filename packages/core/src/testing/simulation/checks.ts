import type { SimulatedGrant, SimulatedHold, SimulatedWrite, SimulationEvent } from './events.ts'
import type { LockModel, LockStep } from './models.ts'
import { checkLockSteps, fencedMutexModel, permitsModel, readWriteModel } from './models.ts'

/**
 * A promise that was broken.
 *
 * - `overlap`: two valid leases that exclude each other, or one too many.
 * - `token`: the store granted with a token that was not greater.
 * - `stale-write`: a guard let a write through after one with a newer token.
 * - `lost-update`: a write replaced a number that its writer had not seen.
 * - `late-act`: a process could act on a lease whose deadline had passed.
 * - `idle`: a lock was free for too long while somebody waited for it.
 * - `stuck`: a process did not finish although all had been well for long.
 * - `leftover`: something was left in the store, and not to keep others out for a while.
 * - `failed`: `run` threw what is no error of Holdfast.
 * - `check`: the simulation's own `check` found something.
 */
export interface SimulationViolation {
  readonly kind:
    | 'overlap'
    | 'token'
    | 'stale-write'
    | 'lost-update'
    | 'late-act'
    | 'idle'
    | 'stuck'
    | 'leftover'
    | 'failed'
    | 'check'
  /** A sentence. */
  readonly why: string
}

/**
 * What can be seen in a history alone.
 *
 * @param promise `lease` when the store kept what it acknowledged: only then valid leases never overlap
 */
export function checkEvents(
  events: readonly SimulationEvent[],
  promise: 'advisory' | 'lease',
): readonly SimulationViolation[] {
  const holds = events.filter(event => event.kind === 'hold')
  const grants = events.filter(event => event.kind === 'grant')
  const writes = events.filter(event => event.kind === 'write')
  return [
    ...(promise === 'lease' ? overlaps(holds, grants) : []),
    ...tokensNotGreater(promise === 'lease' ? grants : grants.filter(({ mode }) => mode !== 'read')),
    ...staleWrites(writes),
    ...lostUpdates(writes),
  ]
}

function overlaps(holds: readonly SimulatedHold[], grants: readonly SimulatedGrant[]): readonly SimulationViolation[] {
  const limit = Math.max(0, ...grants.map(grant => grant.limit ?? 0))
  const found = (kinds: readonly SimulatedHold['mode'][], model: LockModel): readonly SimulationViolation[] =>
    checkLockSteps(stepsOf(holds.filter(({ mode }) => kinds.includes(mode))), model).map(({ step, why }) => ({
      kind: 'overlap',
      why: `At ${step.atMs.toFixed(3)} ms, of "${step.resource}": ${why}.`,
    }))
  return [
    ...found(['exclusive'], fencedMutexModel),
    ...found(['read', 'write'], readWriteModel),
    ...found(['permit'], permitsModel(limit)),
  ]
}

/** Holds as steps of a model, in order; of one instant, what ends comes first. A hold that was over when it began is none. */
export function stepsOf(holds: readonly SimulatedHold[]): readonly LockStep[] {
  return holds
    .filter(hold => hold.validUntilMs > hold.acquiredAtMs)
    .flatMap(({ resource: full, holder, token, mode, acquiredAtMs, validUntilMs }) => {
      const [resource = '', slot] = mode === 'permit' ? splitSlot(full) : [full, undefined]
      // Each hold is an owner of its own: two in one process exclude each other as well.
      const step = { resource, owner: `${holder} (token ${token})`, token, mode, slot }
      const acquired: LockStep = { ...step, kind: 'acquire', atMs: acquiredAtMs }
      return [acquired, { ...step, kind: 'release', atMs: validUntilMs } satisfies LockStep]
    })
    .toSorted((one, other) => one.atMs - other.atMs || rankOf(one) - rankOf(other))
}

function rankOf({ kind }: LockStep): number {
  return kind === 'release' ? 0 : 1
}

function splitSlot(full: string): [resource: string, slot: number] {
  const at = full.lastIndexOf('#')
  return [full.slice(0, at), Number(full.slice(at + 1))]
}

// In the order in which the store granted: a process may hear late. Readers carry the last writer's.
function tokensNotGreater(grants: readonly SimulatedGrant[]): readonly SimulationViolation[] {
  const newest = new Map<string, bigint>()
  const found: SimulationViolation[] = []
  for (const { resource, mode, token, to, atMs } of grants) {
    const lock = mode === 'write' ? `read ${resource}` : `${mode} ${resource}`
    const before = newest.get(lock)
    if (before !== undefined && (mode === 'read' ? token < before : token <= before)) {
      found.push({
        kind: 'token',
        why: `At ${atMs.toFixed(3)} ms the store granted "${resource}" to ${to} with the token ${token} after ${before}.`,
      })
    } else newest.set(lock, token)
  }
  return found
}

function staleWrites(writes: readonly SimulatedWrite[]): readonly SimulationViolation[] {
  const newest = new Map<string, bigint>()
  const found: SimulationViolation[] = []
  for (const { register, lock, token, outcome, by, atMs } of writes) {
    if (token === undefined || outcome === 'refused') continue
    const guarded = `${register} ${lock}`
    const before = newest.get(guarded) ?? -1n
    if (token < before) {
      const why = `At ${atMs.toFixed(3)} ms "${register}" took a write of ${by} with the token ${token} after one with ${before}.`
      found.push({ kind: 'stale-write', why })
    } else newest.set(guarded, token)
  }
  return found
}

function lostUpdates(writes: readonly SimulatedWrite[]): readonly SimulationViolation[] {
  return writes
    .filter(({ outcome, basedOn, version }) => outcome === 'accepted' && basedOn !== undefined && basedOn !== version)
    .map(({ atMs, by, value, register, basedOn, version }) => ({
      kind: 'lost-update',
      why: `At ${atMs.toFixed(3)} ms ${by} wrote ${value} to "${register}", made of version ${basedOn}, over version ${version}.`,
    }))
}
