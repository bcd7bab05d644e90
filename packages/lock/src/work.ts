import { InvalidArgumentError, show } from '@holdfast/core'

/**
 * Refuses what cannot be run under a lock. A generator function answers before any of its body has run: the lock would be free again by then.
 * `options` are what was given after it.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkWork(work: unknown, options?: unknown): asserts work is (...args: never[]) => unknown {
  if (typeof work !== 'function') {
    const hint = typeof options === 'function' ? ': it comes before the options' : ''
    throw new InvalidArgumentError('work', `Expected \`work\` to be a function, got ${show(work)}${hint}.`)
  }
  if (isGeneratorFunction(work)) {
    throw new InvalidArgumentError(
      'work',
      'Expected `work` to be a function that is done when it has answered, got a generator function: its body would run without the lock.',
    )
  }
}

export function isGeneratorFunction(work: unknown): boolean {
  return /^\[object (Async)?GeneratorFunction\]$/.test(Object.prototype.toString.call(work))
}
