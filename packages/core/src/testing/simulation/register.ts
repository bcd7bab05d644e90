import { InvalidArgumentError, StaleTokenError } from '../../errors.ts'
import type { Fenced, Guard } from '../../fencing/guard.ts'
import { checkFenced } from '../../fencing/guard.ts'
import type { MemoryFence } from '../../memory/guard.ts'
import { memoryFence } from '../../memory/guard.ts'
import { show } from '../../names.ts'
import type { Calls, SimulatedServer } from './calls.ts'
import type { Machine } from './machine.ts'
import type { Recorder } from './recorder.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * A number in a storage that processes share, each over the network. It starts at 0. What it is written is checked: a write that was
 * made of an older number than it replaces is a lost update, and a violation.
 */
export interface SimulatedRegister {
  /** The storage's guard: `acquire(name, { guard })` raises it before the lease is handed out. */
  readonly guard: Guard
  /** @throws {UnavailableError} `HF_UNAVAILABLE` */
  read(): Promise<number>
  /**
   * Without `fenced`, any number that comes is written.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no number; nothing was sent
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when the guard had seen a newer token; nothing was written
   * @throws {LeaseLostError} `HF_LEASE_LOST` when `fenced` is a lease that was lost
   * @throws {UnavailableError} `HF_UNAVAILABLE` when no answer came: it may still be written, also later
   */
  write(value: number, fenced?: Fenced): Promise<void>
}

interface Cell {
  value: number
  version: number
  /** By message: the version that it made. */
  readonly written: Map<string, number>
}

/** The server that keeps the registers. It never fails; the way to it does. */
export class Storage implements SimulatedServer {
  readonly name = 'storage'
  readonly isUp = true
  readonly fence: MemoryFence = memoryFence()
  readonly #scheduler: Scheduler
  readonly #recorder: Recorder
  readonly #cells = new Map<string, Cell>()

  constructor(scheduler: Scheduler, recorder: Recorder) {
    this.#scheduler = scheduler
    this.#recorder = recorder
  }

  cell(register: string): Cell {
    const known = this.#cells.get(register)
    if (known !== undefined) return known
    const fresh: Cell = { value: 0, version: 0, written: new Map() }
    this.#cells.set(register, fresh)
    return fresh
  }

  /** Answers the version that was made. The same `id` again is the same message. */
  write(
    register: string,
    write: {
      readonly id: string
      readonly by: string
      readonly value: number
      readonly fenced: Fenced | undefined
      readonly basedOn: number | undefined
    },
  ): number {
    const cell = this.cell(register)
    const { id, by, value, fenced, basedOn } = write
    const known = cell.written.get(id)
    if (known !== undefined) return known
    const { version } = cell
    const apply = (): void => {
      cell.value = value
      cell.version += 1
      cell.written.set(id, cell.version)
    }
    const told = {
      kind: 'write',
      atMs: this.#scheduler.nowMs,
      register,
      by,
      value,
      lock: fenced?.resource,
      token: fenced?.token.value,
      basedOn,
      version,
    } as const
    try {
      if (fenced === undefined) apply()
      else this.fence.run(fenced, apply)
      this.#recorder.add({ ...told, outcome: 'accepted' })
      return cell.version
    } catch (error) {
      if (error instanceof StaleTokenError) this.#recorder.add({ ...told, outcome: 'refused' })
      throw error
    }
  }
}

/** One process's view of a register. */
export class RegisterClient implements SimulatedRegister {
  readonly guard: Guard
  readonly #name: string
  readonly #storage: Storage
  readonly #machine: Machine
  readonly #calls: Calls
  readonly #nextId: () => string
  readonly #acted: (fenced: Fenced) => void
  #readVersion: number | undefined

  constructor(parts: {
    readonly name: string
    readonly storage: Storage
    readonly machine: Machine
    readonly calls: Calls
    readonly nextId: () => string
    /** A process acts on a lease that it believes to hold. */
    readonly acted: (fenced: Fenced) => void
  }) {
    const { name, storage, machine, calls, nextId, acted } = parts
    this.#name = name
    this.#storage = storage
    this.#machine = machine
    this.#calls = calls
    this.#nextId = nextId
    this.#acted = acted
    const raised = (fenced: Fenced): Promise<void> => calls.ask(storage, () => storage.fence.run(fenced, () => {}))
    this.guard = { raise: async fenced => await raised(checkFenced(fenced)) }
  }

  async read(): Promise<number> {
    const { value, version } = await this.#calls.ask(this.#storage, () => ({ ...this.#storage.cell(this.#name) }))
    this.#readVersion = version
    return value
  }

  async write(value: number, fenced?: Fenced): Promise<void> {
    if (typeof value !== 'number' || Number.isNaN(value)) {
      throw new InvalidArgumentError('value', `Expected \`value\` to be a number, got ${show(value)}.`)
    }
    // Read once, now: it is what the message has in it.
    const sent = fenced === undefined ? undefined : checkFenced(fenced)
    if (sent !== undefined) this.#acted(sent)
    const id = this.#nextId()
    const basedOn = this.#readVersion
    const by = this.#machine.name
    this.#readVersion = await this.#calls.ask(this.#storage, () =>
      this.#storage.write(this.#name, { id, by, value, fenced: sent, basedOn }),
    )
  }
}
