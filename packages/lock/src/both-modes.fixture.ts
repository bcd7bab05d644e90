// Compiled by the standard with everything else, and with experimentalDecorators by a test.
import type { Locks } from './index.ts'
import { locked } from './index.ts'

declare const locks: Locks

export class BothModes {
  locks: Locks = locks

  @locked('stock:{0}')
  async read(item: string, times: number = 1): Promise<number> {
    return await Promise.resolve(item.length * times)
  }

  @locked(['account:{0}', 'account:{1}'], { waitMs: 5_000, reentrant: true, locks })
  static async move(from: string, to: string): Promise<readonly string[]> {
    return await Promise.resolve([from, to])
  }

  @locked((item: string) => `stock:${item}`, {
    locks: (self: BothModes) => self.locks,
    signal: (_item: string, signal?: AbortSignal) => signal,
  })
  async take(item: string, _signal?: AbortSignal): Promise<string> {
    return await Promise.resolve(item)
  }

  // @ts-expect-error a method that returns no promise would return one
  @locked('now')
  now(): number {
    return 1
  }

  // @ts-expect-error its name takes what the method is not given
  @locked((item: string) => item)
  async other(count: number): Promise<number> {
    return await Promise.resolve(count)
  }

  // @ts-expect-error its locks are those of another class
  @locked('other', { locks: (self: Map<string, Locks>) => self.get('a') ?? locks })
  async foreign(): Promise<number> {
    return await Promise.resolve(1)
  }
}
