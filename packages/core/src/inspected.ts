const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** What people are shown of something, in this order; undefined is left out. */
export type Picture = Readonly<Record<string, unknown>>

/**
 * Makes `console.log` and `util.inspect` show an object (or all that have `target` as their prototype) as `name` and these facts alone.
 * To look changes nothing, so `picture` must not either. Where nobody knows of this symbol it does nothing.
 *
 * @see https://nodejs.org/api/util.html#custom-inspection-functions-on-objects
 */
export function inspectAs<T extends object>(target: T, name: string, picture: (of: T) => Picture): void {
  // What stands before the facts is the name of their class.
  class Shown {}
  Object.defineProperty(Shown, 'name', { value: name })
  Object.defineProperty(target, INSPECT, {
    configurable: true,
    value(this: T): object {
      const facts = Object.entries(picture(this)).filter(([, value]) => value !== undefined)
      return Object.assign(new Shown(), Object.fromEntries(facts))
    },
  })
}
