import type { Clock } from '@holdfast/core'
import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { CommandError } from '../exit-codes.ts'

/** A command line for a shell, and what it is given. */
export interface ScriptRun {
  readonly command: string
  /** Beside what this process has. */
  readonly env: Readonly<Record<string, string>>
  /** @default nothing */
  readonly stdin?: string
  readonly timeoutMs: number
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined
  readonly clock: Clock
}

/** What a script has no business to know: addresses with passwords, and keys. */
const OURS_ALONE: readonly string[] = ['HOLDFAST_BACKEND', 'HOLDFAST_ZOOKEEPER_AUTH', 'HOLDFAST_SECRET_KEYS']
/** How long a group has from SIGTERM to SIGKILL. */
const GRACE_MS = 1_000
/** How long output is waited for once the script is gone: whatever it left running may hold the pipe for ever. */
const OUTPUT_MS = 200
const TAIL_LENGTH = 2_000
/** Of a script in a message: one that is given inline may have pages. */
const NAME_LENGTH_MAX = 60

/**
 * Runs a script by `sh -c` as a process group of its own. What it prints goes to our standard error. When it takes too long, fails or
 * is aborted, all of its group is ended: SIGTERM, a second later SIGKILL. What a script that succeeded leaves running stays.
 *
 * @throws {CommandError} `refused` when it does not end with 0; the message has the last line that it printed
 */
export async function runScript(run: ScriptRun): Promise<void> {
  if (run.signal?.aborted === true)
    throw new CommandError('refused', `${nameOf(run)} was not started: it was cancelled.`)
  const child = spawn('sh', ['-c', run.command], { detached: true, env: environment(run.env), stdio: 'pipe' })
  const output = tailOf(child)
  // A script that does not read its input is none the worse for it.
  child.stdin.on('error', () => {})
  child.stdin.end(run.stdin ?? '')
  const ended = endOf(child)
  const failure = await untilEnded(run, ended)
  if (failure === undefined) return
  await endGroup(child, ended, run.clock)
  await atMost(run.clock, OUTPUT_MS, closeOf(child))
  const said = output().trim().split('\n').at(-1) ?? ''
  throw new CommandError('refused', `${nameOf(run)} ${failure}${said === '' ? '' : `: ${said}`}`)
}

function nameOf({ command }: ScriptRun): string {
  const line = command.trim().replace(/\s+/g, ' ')
  return line.length > NAME_LENGTH_MAX ? `${line.slice(0, NAME_LENGTH_MAX - 1)}…` : line
}

function environment(added: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !OURS_ALONE.includes(name))
  return { ...Object.fromEntries(inherited), ...added }
}

/** Passes on what it prints, and remembers the end of it. */
function tailOf(child: ChildProcessWithoutNullStreams): () => string {
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk)
      tail = (tail + chunk.toString()).slice(-TAIL_LENGTH)
    })
  }
  return () => tail
}

/** Why it ended other than well; undefined when it ended with 0. */
function endOf(child: ChildProcessWithoutNullStreams): Promise<string | undefined> {
  return new Promise(resolve => {
    child.once('error', error => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      // A program that it left running may go on printing, and must not hold this process.
      for (const stream of [child.stdout, child.stderr]) (stream as { unref?: () => void }).unref?.()
      resolve(code === 0 ? undefined : `ended with ${code ?? signal}`)
    })
  })
}

function untilEnded(
  { clock, timeoutMs, signal }: ScriptRun,
  ended: Promise<string | undefined>,
): Promise<string | undefined> {
  return new Promise(resolve => {
    const timer = clock.setTimer(() => settle(`took longer than ${timeoutMs} ms`), timeoutMs, { background: false })
    const cancel = (): void => settle('was cancelled')
    const settle = (failure: string | undefined): void => {
      timer.cancel()
      signal?.removeEventListener('abort', cancel)
      resolve(failure)
    }
    signal?.addEventListener('abort', cancel)
    void ended.then(settle)
  })
}

async function endGroup(child: ChildProcessWithoutNullStreams, ended: Promise<unknown>, clock: Clock): Promise<void> {
  signalGroup(child, 'SIGTERM')
  await atMost(clock, GRACE_MS, ended)
  // Also when the script itself is gone: a child of it may not have listened.
  signalGroup(child, 'SIGKILL')
  await ended
}

function signalGroup({ pid }: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody of the group is left.
  }
}

function closeOf(child: ChildProcessWithoutNullStreams): Promise<void> {
  return new Promise(resolve => {
    if (child.stdout.closed && child.stderr.closed) resolve()
    else child.once('close', () => resolve())
  })
}

function atMost(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise(resolve => {
    const timer = clock.setTimer(resolve, limitMs, { background: false })
    void work.then(() => {
      timer.cancel()
      resolve()
    })
  })
}
