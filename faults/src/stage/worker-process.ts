import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HoldReport, OrderMessage, OrderName, Orders, WorkerMessage } from '../worker/protocol.ts'

const ENTRY = fileURLToPath(new URL('../worker/main.js', import.meta.url))

interface Pending {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

/** An order that a worker could not carry out. */
export class OrderError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** A worker process of ours, and what it told us. */
export class WorkerProcess {
  readonly lost: Map<string, HoldReport> = new Map()
  /** Leases under which a transaction has changed its row. */
  readonly entered: Set<string> = new Set()
  readonly mishaps: string[] = []
  readonly #child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  readonly #exited: Promise<unknown>
  #orders = 0
  #onProgress: (grants: number) => void = () => {}

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#exited = once(child, 'exit')
    holdWorker(child)
    child.on('message', (message: WorkerMessage) => this.#receive(message))
    child.on('error', () => {})
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#pending.values())
        reject(new OrderError('gone', `The worker ended (${signal ?? code}).`))
      this.#pending.clear()
    })
  }

  static async start(): Promise<WorkerProcess> {
    // Its errors are ours to see; it says nothing else.
    const worker = new WorkerProcess(
      fork(ENTRY, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    )
    await once(worker.#child, 'message')
    return worker
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when the process is gone. */
  get exited(): Promise<unknown> {
    return this.#exited
  }

  /** Rejects with `OrderError` when it cannot be done. */
  order<N extends OrderName>(name: N, argument: Orders[N]['with']): Promise<Orders[N]['answer']> {
    const answer = new Promise<Orders[N]['answer']>((resolve, reject) => {
      if (this.hasExited || !this.#child.connected) return reject(new OrderError('gone', 'The worker has ended.'))
      const id = ++this.#orders
      this.#pending.set(id, { resolve: resolve as (answer: never) => void, reject })
      const message: OrderMessage = { id, name, with: argument }
      this.#child.send(message)
    })
    // A run that was given up leaves orders behind that nobody awaits.
    answer.catch(() => {})
    return answer
  }

  onProgress(listener: (grants: number) => void): void {
    this.#onProgress = listener
  }

  /** Returns when the process is gone for SIGKILL, at once for others. */
  async signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    if (this.hasExited) return
    this.#child.kill(signal)
    if (signal === 'SIGKILL') await this.#exited
  }

  /** Makes it ready for another run; false when it is not fit for one. */
  async reset(): Promise<boolean> {
    this.lost.clear()
    this.entered.clear()
    this.mishaps.length = 0
    this.#onProgress = () => {}
    try {
      await this.order('reset', undefined)
      return true
    } catch {
      return false
    }
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case 'ready':
        return
      case 'lost':
        return void this.lost.set(message.lease, message.report)
      case 'entered':
        return void this.entered.add(message.lease)
      case 'progress':
        return this.#onProgress(message.grants)
      case 'mishap':
        return void this.mishaps.push(message.message)
      case 'answered':
        return this.#take(message.id)?.resolve(message.answer as never)
      case 'failed':
        return this.#take(message.id)?.reject(new OrderError(message.code, message.message))
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }
}

const live = new Set<ChildProcess>()

/** Remembers a process for `endWorkers`, until it ends. */
export function holdWorker(child: ChildProcess): void {
  live.add(child)
  child.once('exit', () => live.delete(child))
}

/** Ends every worker there is, stopped ones included; for the end of this process, however it comes. */
export function endWorkers(): void {
  for (const child of live) child.kill('SIGKILL')
}
