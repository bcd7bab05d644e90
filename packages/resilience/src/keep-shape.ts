const kept: object[] = []

/**
 * Keeps an instance of a class whose instances live as long as a call. Where a full collection finds none of them alive V8 forgets
 * what they look like, and throws away all code that was optimized for it: the next tens of thousands of calls take twice as long.
 *
 * @param instance as they are in use: a number with a fraction where they have one.
 */
export function keepShape(instance: object): void {
  kept.push(instance)
}
