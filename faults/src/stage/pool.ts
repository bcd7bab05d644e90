import { WorkerProcess } from './worker-process.ts'

const RESET_MS_MAX = 2_500

/** Workers that are used again, run after run, as long as nobody harmed them. */
export class WorkerPool implements AsyncDisposable {
  readonly #idle: WorkerProcess[] = []
  readonly #returning = new Set<Promise<void>>()

  async take(): Promise<WorkerProcess> {
    return this.#idle.pop() ?? (await WorkerProcess.start())
  }

  /** In the background: whoever closes over a silent link takes a while. */
  giveBack(worker: WorkerProcess): void {
    const returning = this.#makeReady(worker).finally(() => this.#returning.delete(returning))
    this.#returning.add(returning)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#returning)
    await Promise.all(this.#idle.splice(0).map(worker => worker.signal('SIGKILL')))
  }

  async #makeReady(worker: WorkerProcess): Promise<void> {
    let patience: ReturnType<typeof setTimeout> | undefined
    const tooLate = new Promise<boolean>(resolve => {
      patience = setTimeout(resolve, RESET_MS_MAX, false)
    })
    const isFit = await Promise.race([worker.reset(), tooLate])
    clearTimeout(patience)
    if (isFit) this.#idle.push(worker)
    else await worker.signal('SIGKILL')
  }
}
