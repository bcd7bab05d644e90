import { systemClock } from '@holdfast/core'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runScript } from './run-script.ts'
import type { ScriptRun } from './run-script.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

function run(command: string, options: Partial<ScriptRun> = {}): Promise<void> {
  return runScript({ command, env: { DIR: folder }, timeoutMs: 10_000, clock: systemClock, ...options })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie waits for a parent to ask after it, and runs no more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function pidIn(file: string): number {
  return Number(readFileSync(join(folder, file), 'utf8'))
}

describe('a script', () => {
  it('gets its input and its environment', async () => {
    await run('cat > "$DIR/in"; printf %s "$EXTRA" > "$DIR/env"', {
      stdin: '{"a":1}',
      env: { DIR: folder, EXTRA: '42' },
    })
    expect(readFileSync(join(folder, 'in'), 'utf8')).toBe('{"a":1}')
    expect(readFileSync(join(folder, 'env'), 'utf8')).toBe('42')
  })

  it('does not see addresses with passwords, nor keys', async () => {
    vi.stubEnv('HOLDFAST_BACKEND', 'redis://:hunter2@h')
    vi.stubEnv('HOLDFAST_ZOOKEEPER_AUTH', 'user:hunter2')
    vi.stubEnv('HOLDFAST_SECRET_KEYS', '/keys')
    await run('env > "$DIR/env"')
    expect(readFileSync(join(folder, 'env'), 'utf8')).not.toMatch(/hunter2|HOLDFAST_SECRET_KEYS/)
  })

  it('need not read its input', async () => {
    await expect(run('true', { stdin: 'x'.repeat(1_000_000) })).resolves.toBeUndefined()
  })

  it('fails with its exit code and the last line that it printed', async () => {
    await expect(run('echo first; echo "port is taken" >&2; exit 3')).rejects.toThrow(/ended with 3: port is taken$/)
  })

  it('is named by its first 60 characters when it is a long one', async () => {
    const command = `${'true\n'.repeat(100)}echo "port is taken"; exit 3`
    const message = `${'true '.repeat(12).slice(0, 59)}… ended with 3: port is taken`
    await expect(run(command)).rejects.toMatchObject({ message })
  })

  it('fails when it cannot be found', async () => {
    await expect(run('/no/such/script.sh')).rejects.toThrow(/ended with 127: .*not found/)
  })

  it('is gone with its children when it takes too long', async () => {
    await expect(
      run('sleep 300 & echo $! > "$DIR/child"; echo $$ > "$DIR/self"; wait', { timeoutMs: 500 }),
    ).rejects.toThrow('took longer than 500 ms')
    await vi.waitFor(() => {
      expect(isAlive(pidIn('self'))).toBe(false)
      expect(isAlive(pidIn('child'))).toBe(false)
    })
  })

  it('is gone with its children also when they do not listen to SIGTERM', async () => {
    const command = `trap '' TERM; (trap '' TERM; echo started > "$DIR/child-ready"; sleep 300) & echo $! > "$DIR/child"; echo $$ > "$DIR/self"; wait`
    await expect(run(command, { timeoutMs: 500 })).rejects.toThrow('took longer')
    await vi.waitFor(() => {
      expect(isAlive(pidIn('self'))).toBe(false)
      expect(isAlive(pidIn('child'))).toBe(false)
    })
  })

  it('takes its children along when it fails', async () => {
    await expect(run('sleep 300 & echo $! > "$DIR/child"; exit 1')).rejects.toThrow('ended with 1')
    await vi.waitFor(() => expect(isAlive(pidIn('child'))).toBe(false))
  })

  it('leaves running what it started when it succeeds', async () => {
    await run('sleep 300 & echo $! > "$DIR/child"')
    const pid = pidIn('child')
    expect(isAlive(pid)).toBe(true)
    process.kill(pid, 'SIGKILL')
  })

  it('ends when it is cancelled, and is not started when it was', async () => {
    const cancel = new AbortController()
    writeFileSync(join(folder, 'marks'), '')
    const running = run('echo x >> "$DIR/marks"; sleep 300', { signal: cancel.signal })
    await vi.waitFor(() => expect(readFileSync(join(folder, 'marks'), 'utf8')).toBe('x\n'))
    cancel.abort()
    await expect(running).rejects.toThrow('was cancelled')
    await expect(run('echo x >> "$DIR/marks"', { signal: cancel.signal })).rejects.toThrow('was not started')
    expect(readFileSync(join(folder, 'marks'), 'utf8')).toBe('x\n')
  })
})
