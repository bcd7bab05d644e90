import { InvalidArgumentError, show } from '@holdfast/core'

/** A check that refuses changes of what cannot change: where state is kept, and by whose time. */
export function steadily<G, O extends object>(
  policy: string,
  check: (options: G) => O,
  fixed: readonly (keyof O & string)[],
): (options: G) => O {
  let first: O | undefined
  return options => {
    const rule = check(options)
    first ??= rule
    for (const name of fixed) {
      if (Object.is(rule[name], first[name])) continue
      throw new InvalidArgumentError(
        name,
        `Expected \`${name}\` of ${policy} to stay as it was given, got ${show(rule[name])}.`,
      )
    }
    return rule
  }
}
