import { fork } from 'node:child_process'
import { once } from 'node:events'

/** A shop that was started. */
export interface Shop extends AsyncDisposable {
  readonly port: number
}

/** How a shop is. */
export type ShopKind = 'protected' | 'unprotected'

/** Starts a shop in a process of its own; each request costs it `workMs` of CPU. */
export async function openShop(kind: ShopKind, workMs: number): Promise<Shop> {
  const child = fork(new URL('./shop.js', import.meta.url), [kind, String(workMs)])
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}
