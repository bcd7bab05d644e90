import { show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import { messageOf } from '../errors.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { wordsWithoutSecrets } from './concealment.ts'

/** An issue for each invariant of a namespace that does not hold between two of its values, or that threw. */
export function invariantIssues<Value>(
  { name, definition }: Namespace<Value, never>,
  next: Value,
  previous: Value | undefined,
): readonly ConfigIssue[] {
  return definition.invariants.flatMap((holds, index) => {
    const message = problemOf(`invariant ${index + 1}`, () => holds(next, previous))
    if (message === undefined) return []
    return [{ namespace: name, path: [], message: wordsWithoutSecrets(message, [next, previous]) }]
  })
}

function problemOf(which: string, holds: () => unknown): string | undefined {
  try {
    const verdict = holds()
    if (verdict === true) return undefined
    if (typeof verdict === 'string') return verdict
    return verdict === false
      ? `${which} does not hold`
      : `${which} gave ${show(verdict)}, neither a boolean nor a reason`
  } catch (error) {
    return `${which} threw: ${messageOf(error)}`
  }
}
