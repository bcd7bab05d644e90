import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Runs a program of this suite in a fresh process, so that none disturbs how another's code is compiled, nor its heap, and returns
 * what it answers with `answer`. It is killed when it does not within `limitMs`.
 */
export async function askProcess<T>(program: URL, settings: unknown, limitMs: number): Promise<T> {
  const child = fork(program, [JSON.stringify(settings)], {
    // What a library prints must not get between our rows.
    stdio: ['ignore', 2, 2, 'ipc'],
    serialization: 'advanced',
    execArgv: ['--expose-gc'],
  })
  const end = new AbortController()
  const { signal } = end
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message as T),
      once(child, 'exit', { signal }).then(([code]) => fail(`${program.pathname} ended with ${code}`)),
      sleep(limitMs, undefined, { signal }).then(() => fail(`${program.pathname} did not answer within ${limitMs} ms`)),
    ])
  } finally {
    end.abort()
    child.kill('SIGKILL')
  }
}

function fail(message: string): never {
  throw new Error(message)
}

/** In such a program: what it was told. */
export function settingsOf<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T
}

/** In such a program: answers, and ends. */
export function answer(value: unknown): void {
  process.send?.(value)
}
