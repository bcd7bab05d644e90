import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** What a run of the command came to. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** `holdfast config` as a process, in an environment of its own. */
export class Holdfast {
  readonly #env: Readonly<Record<string, string>>
  readonly #running = new Set<Following>()

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env
  }

  async run(
    args: readonly string[],
    { stdin = '', env = {} }: { stdin?: string; env?: Record<string, string> } = {},
  ): Promise<Ran> {
    const child = this.#spawn(args, env)
    child.stdin?.end(stdin)
    const [stdout, stderr] = await Promise.all([text(child.stdout as never), text(child.stderr as never)])
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return { code: child.exitCode, stdout, stderr }
  }

  /** Runs it with `--json`, and expects it to end with 0. */
  async json(...args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.run([...args, '--json'])
    if (code !== 0) throw new Error(`It ended with ${code}: ${stderr}`)
    return JSON.parse(stdout)
  }

  /** Starts something that goes on, such as `watch`. */
  start(...args: readonly string[]): Following {
    const following = new Following(this.#spawn(args, {}))
    this.#running.add(following)
    return following
  }

  /** Ends whatever goes on. */
  async end(): Promise<void> {
    await Promise.all([...this.#running].map(following => following.kill()))
  }

  #spawn(args: readonly string[], env: Record<string, string>): ChildProcess {
    return spawn(process.execPath, [MAIN, 'config', ...args], {
      env: { PATH: process.env['PATH'] ?? '', ...this.#env, ...env },
    })
  }
}

/** A command that goes on. */
export class Following {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    this.#exited = once(child, 'exit')
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
  }

  /** The exit code, once it has ended. */
  async code(): Promise<number | null> {
    await this.#exited
    return this.#child.exitCode
  }

  /** Reads no more, as `head` does once it has its lines. */
  leave(): void {
    this.#child.stdout?.destroy()
  }

  interrupt(): void {
    this.#child.kill('SIGINT')
  }

  /** Another signal: two of a kind at once may arrive as one. */
  terminate(): void {
    this.#child.kill('SIGTERM')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
