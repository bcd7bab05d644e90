import * as cockatiel3 from 'cockatiel-3'
import * as cockatiel4 from 'cockatiel-4'

/** What is shown of cockatiel is shown of both; 4 has all that 3 has. */
export const COCKATIELS: readonly { readonly name: string; readonly cockatiel: typeof cockatiel3 }[] = [
  { name: 'cockatiel 3.2.1', cockatiel: cockatiel3 },
  { name: 'cockatiel 4.0.0', cockatiel: cockatiel4 as unknown as typeof cockatiel3 },
]

/** Work that is under way until it is told how to end. */
export function openEnded(): { readonly work: () => Promise<unknown>; finish(value?: unknown): void; fail(): void } {
  let resolve: (value: unknown) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const until = new Promise<unknown>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { work: () => until, finish: value => resolve(value), fail: () => reject(new Error('down')) }
}

/** Lets every promise settle that can. */
export function turn(): Promise<void> {
  return new Promise(resolve => void setImmediate(resolve))
}

/** How many of some promises have settled by now. */
export async function settledOf(promises: readonly Promise<unknown>[]): Promise<number> {
  let settled = 0
  const count = (): void => void (settled += 1)
  for (const promise of promises) promise.then(count, count)
  await turn()
  return settled
}

export function failing(): Promise<never> {
  return Promise.reject(new Error('down'))
}

export function ignored(): void {}
