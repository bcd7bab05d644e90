// A publisher or reader of configuration: a real process that does what its parent orders.
import { publish } from './publisher.ts'
import type { OrderMessage, OrderName, Orders, PublishOrder, ReadOrder, WorkerMessage } from './protocol.ts'
import { Reader } from './reader.ts'

let readers: readonly Reader[] = []

const orders: { readonly [Name in OrderName]: (argument: unknown) => Promise<Orders[Name]['answer']> } = {
  publish: argument => publish(argument as PublishOrder, published => send({ kind: 'progress', published })),
  read: async argument => {
    const order = argument as ReadOrder
    const seeds = Array.from({ length: order.readers }, (_, index) => order.seed + index)
    readers = await Promise.all(seeds.map(seed => Reader.open({ ...order, seed })))
    return undefined
  },
  seen: async () => readers.map(reader => reader.report()),
  close: async () => {
    await Promise.all(readers.map(reader => reader.close()))
    return undefined
  },
}

function send(message: WorkerMessage): void {
  if (process.connected) process.send?.(message)
}

async function obey({ id, name, with: argument }: OrderMessage): Promise<void> {
  try {
    send({ kind: 'answered', id, answer: await orders[name](argument) })
  } catch (error) {
    send({ kind: 'failed', id, message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
  }
}

process.on('message', (message: OrderMessage) => void obey(message))
// The parent is gone: nobody would ever end us.
process.on('disconnect', () => process.exit(1))
process.on('uncaughtException', (error, origin) => send({ kind: 'mishap', message: `${origin}: ${error.stack}` }))
send({ kind: 'ready' })
