import { AsyncLocalStorage } from 'node:async_hooks'
import type { Backend, EventSource } from '@holdfast/core'
import { Emitter } from '@holdfast/core'
import type { Claim, WaitTask } from './wait-graph.ts'
import { WaitGraph, isUpgrade } from './wait-graph.ts'

/** A cycle of waits among the locks of this process. */
export interface WaitCycleEvent {
  /** Each is held by one who waits for the next, and the last by one who waits for the first. */
  readonly names: readonly string[]
}

/** Cycles that are remembered as told; after that many all are forgotten, and told once more. */
const TOLD_MAX = 1_000

/** Looks for waits that come back to themselves, among the `using` calls of this process on one backend. It breaks nothing. */
export class WaitCycles {
  readonly #events = new Emitter<{ waitCycle: WaitCycleEvent }>('lock')
  readonly #graph = new WaitGraph()
  // Only ever entered by `run`: `enterWith` would leak into sibling tasks.
  readonly #tasks = new AsyncLocalStorage<WaitTask>()
  readonly #told = new Set<string>()

  get events(): EventSource<{ waitCycle: WaitCycleEvent }> {
    return this.#events
  }

  /** Runs `use`, which waits for the lock and then runs what it is given to `hold`. Who may not wait only holds. */
  async watch<T>(
    claim: Claim & { readonly mayWait: boolean },
    use: (hold: <R>(work: () => R) => R) => Promise<T>,
  ): Promise<T> {
    const task = this.#graph.wait(claim, this.#tasks.getStore())
    try {
      const cycle = claim.mayWait ? this.#graph.cycleOf(task) : undefined
      if (cycle !== undefined) this.#tell(cycle, isUpgrade(task))
      return await use(work => {
        this.#graph.granted(task)
        return this.#tasks.run(task, work)
      })
    } finally {
      this.#graph.end(task)
    }
  }

  #tell(names: readonly string[], isUpgrade: boolean): void {
    this.#events.emit('waitCycle', { names })
    const key = messageOf(turned(names), isUpgrade)
    if (this.#told.has(key)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(key)
    process.emitWarning(messageOf(names, isUpgrade), 'HoldfastWaitCycle')
  }
}

const cyclesOf = new WeakMap<Backend, WaitCycles>()

/** One for all locks of a backend, whoever asks. */
export function waitCyclesOf(backend: Backend): WaitCycles {
  const known = cyclesOf.get(backend)
  if (known !== undefined) return known
  const cycles = new WaitCycles()
  cyclesOf.set(backend, cycles)
  return cycles
}

// The same cycle may be closed at any of its locks.
function turned(names: readonly string[]): readonly string[] {
  let least = 0
  for (const [index, name] of names.entries()) if (name < (names[least] ?? '')) least = index
  return [...names.slice(least), ...names.slice(0, least)]
}

function messageOf(names: readonly string[], isUpgrade: boolean): string {
  const [first = ''] = names
  const next = [...names.slice(1), first].map(name => JSON.stringify(name))
  if (names.length === 1) return isUpgrade ? upgradeMessage(first) : reentryMessage(first)
  const steps = next.map(name => `is held by one who waits for ${name}`).join(', which ')
  return `Locks wait for each other: ${JSON.stringify(first)} ${steps}. Take them in one order, or together by \`locks.all\`.`
}

function reentryMessage(name: string): string {
  return `Whoever holds the lock ${JSON.stringify(name)} waits for it again: use \`reentrant: true\`.`
}

// Nesting is refused there: a writer would not be alone.
function upgradeMessage(name: string): string {
  return `Whoever reads under the lock ${JSON.stringify(name)} waits to write: release \`read\` before, or take \`write\` first and downgrade.`
}
