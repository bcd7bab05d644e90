// Compiled by the standard with everything else, and with experimentalDecorators by a test.
import { pipeline } from '../pipeline.ts'
import { resilient } from './resilient.ts'

const policy = pipeline()

@resilient(policy)
export class BothModes {
  @resilient(policy, { key: (item: string) => item })
  async read(item: string, times: number = 1): Promise<number> {
    return await Promise.resolve(item.length * times)
  }

  @resilient(policy)
  static async open(...args: number[]): Promise<number[]> {
    return await Promise.resolve(args)
  }

  // @ts-expect-error a method that returns no promise would return one
  @resilient(policy)
  now(): number {
    return 1
  }

  // @ts-expect-error its key takes what the method is not given
  @resilient(policy, { key: (item: string) => item })
  async other(count: number): Promise<number> {
    return await Promise.resolve(count)
  }
}
