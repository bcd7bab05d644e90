import { setTimeout as sleep } from 'node:timers/promises'

const THINK_MS = { min: 25, max: 90 }
const HESITATE_MS = 1_000

/** How long customers think: a moment, or for as long as somebody wants to play them a trick. */
export class Pace {
  #nextMs: number | undefined
  #gate: Promise<void> | undefined
  #openGate: () => void = () => {}

  /** The next customer takes so long that a fault can strike meanwhile. */
  hesitate(): void {
    this.#nextMs = HESITATE_MS
  }

  /** From now on nobody comes to a decision: how a task stands still in a process that runs. */
  pause(): void {
    this.#gate = new Promise(resolve => {
      this.#openGate = resolve
    })
  }

  resume(): void {
    this.#openGate()
    this.#gate = undefined
  }

  async think(): Promise<void> {
    const thinkMs = this.#nextMs ?? THINK_MS.min + Math.random() * (THINK_MS.max - THINK_MS.min)
    this.#nextMs = undefined
    await sleep(thinkMs)
    await this.#gate
  }
}
