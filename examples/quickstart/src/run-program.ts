import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs a program to its end, its output on ours. Rejects when it fails. */
export async function runProgram(title: string, file: string, variables: Record<string, string> = {}): Promise<void> {
  process.stdout.write(`${title}:\n`)
  // Only the given variables decide, not what the caller's shell happens to have.
  const { REDIS_URL: _, ...env } = process.env
  const child = spawn(process.execPath, [file], { env: { ...env, ...variables }, stdio: 'inherit' })
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  if (code !== 0) throw new Error(`${title} ended with ${signal ?? `code ${code}`}.`)
}
