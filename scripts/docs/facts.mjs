// What the sources say of themselves, for the pages to be held against.

/**
 * The options of an interface, in its order.
 * @param {string} source
 * @param {string} type
 */
export function optionsIn(source, type) {
  return membersOf(source, type).map(({ name }) => name)
}

/**
 * Options and what their docstrings give as `@default`.
 * @param {string} source
 * @param {string} type
 * @returns {[option: string, value: string][]}
 */
export function defaultsIn(source, type) {
  return membersOf(source, type).flatMap(({ name, comment }) => {
    const value = /@default ([^]*?)\s*(?:\*\/|\n)/.exec(comment)?.[1]
    return value === undefined ? [] : [/** @type {[string, string]} */ ([name, value])]
  })
}

/**
 * The channels that telemetry points are made for.
 * @param {readonly string[]} sources
 */
export function channelsIn(sources) {
  return sources.flatMap(source =>
    [...source.matchAll(/= (event|trace)Point(?:<[^(]*>)?\('([\w.]+)'\)/g)].map(
      ([, kind, name]) => `${kind === 'trace' ? 'tracing:' : ''}holdfast:${name}`,
    ),
  )
}

/**
 * @param {string} source
 * @param {string} type
 */
function membersOf(source, type) {
  const body = new RegExp(`interface ${type}(?:<[^{]*>)? (?:extends [^{]+)?\\{\\n([^]*?)\\n\\}`).exec(source)?.[1]
  if (body === undefined) throw new Error(`Found no interface ${type}.`)
  return [...body.matchAll(/((?:^ {2}\/\*\*[^]*?\*\/\n)?)^ {2}readonly (\w+)\??:/gm)].map(
    ([, comment = '', name = '']) => ({
      name,
      comment,
    }),
  )
}
