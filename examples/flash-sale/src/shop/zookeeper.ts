import type { Fenced } from '@holdfast/core'
import { FencingToken } from '@holdfast/core'
import { zookeeperBackend, zookeeperFence } from '@holdfast/core/zookeeper'
import type { Books, Sale } from '../sale.ts'
import type { Shop, ShopOptions } from './shop.ts'
import { untilAnswered } from './until-answered.ts'
import type { Node, Write } from './zookeeper-client.ts'
import { ZooKeeperClient } from './zookeeper-client.ts'

/** Where a sale on ZooKeeper is. Everything of it is under the root. */
export interface ZooKeeperShopAddress {
  readonly kind: 'zookeeper'
  readonly connect: string
  readonly root: string
}

/** What to ask for: a lease lasts as long as its session, and the server has limits of its own. */
const SESSION_TIMEOUT_MS = 2_000

export function zookeeperShop(address: ZooKeeperShopAddress, { isFenced }: ShopOptions): Shop {
  const { connect, root } = address
  const backend = zookeeperBackend({ connect, root: `${root}/locks`, sessionTimeoutMs: SESSION_TIMEOUT_MS })
  const fence = zookeeperFence(backend)
  const client = new ZooKeeperClient(connect)
  const leftPath = `${root}/left`
  const salesPath = `${root}/sales`
  const readLeft = async (): Promise<number> => Number((await untilAnswered(() => client.read(leftPath))).text)
  return {
    backend,
    lock: isFenced ? { guard: fence } : {},
    readLeft,
    record: async (sale: Sale, fenced: Fenced) => {
      const path = `${salesPath}/${sale.token.toString()}`
      const operations: Write[] = [
        { kind: 'set', path: leftPath, data: String(sale.left) },
        { kind: 'create', path, data: JSON.stringify({ worker: sale.worker, left: sale.left }) },
      ]
      await untilAnswered(async isRepeated => {
        // A sale's node is named by its token, so one whose answer was lost is not made twice.
        if (isRepeated && (await client.exists(path))) return
        await (isFenced ? fence.apply({ lease: fenced, operations }) : client.write(operations))
      })
    },
    stockUp: async count => {
      await client.makeAll(salesPath)
      await client.write([{ kind: 'create', path: leftPath, data: String(count) }])
    },
    readBooks: async (): Promise<Books> => ({ left: await readLeft(), sales: await readSales(client, salesPath) }),
    cleanUp: async () => {
      // Its session writes under the root for as long as it lives.
      await backend.close()
      await client.removeAll(root)
    },
    close: async () => {
      await backend.close()
      client.close()
    },
  }
}

async function readSales(client: ZooKeeperClient, folder: string): Promise<readonly Sale[]> {
  const names = await client.children(folder)
  const nodes = await Promise.all(names.map(async name => ({ name, node: await client.read(`${folder}/${name}`) })))
  const inOrder = nodes.toSorted((a, b) => Buffer.compare(a.node.madeBy, b.node.madeBy))
  return inOrder.map(({ name, node }) => saleOf(name, node))
}

function saleOf(name: string, { text }: Node): Sale {
  const { worker, left } = JSON.parse(text) as { worker: number; left: number }
  return { worker, left, token: FencingToken.parse(name) }
}
