// A worker: a real process that does what its parent orders, and says what happens to what it holds.
import { HoldfastError } from '@holdfast/core'
import { Desk } from './desk.ts'
import { orders } from './orders.ts'
import type { Bench } from './orders.ts'
import type { OrderMessage, WorkerMessage } from './protocol.ts'

function send(message: WorkerMessage): void {
  if (process.connected) process.send?.(message)
}

const newDesk = (): Desk => new Desk((lease, report) => send({ kind: 'lost', lease, report }))

const bench: Bench = {
  desk: newDesk(),
  isLeaving: false,
  progress: grants => send({ kind: 'progress', grants }),
  entered: lease => send({ kind: 'entered', lease }),
  reset: async () => {
    const desk = bench.desk
    bench.desk = newDesk()
    await desk.close()
  },
}

process.on('message', (message: OrderMessage) => void obey(message))
// The parent is gone: nobody would ever end us.
process.on('disconnect', () => bench.isLeaving || process.exit(1))
process.on('uncaughtException', (error, origin) => send({ kind: 'mishap', message: `${origin}: ${error.stack}` }))
send({ kind: 'ready' })

async function obey({ id, name, with: argument }: OrderMessage): Promise<void> {
  try {
    const order = orders[name] as (bench: Bench, argument: unknown) => Promise<unknown>
    send({ kind: 'answered', id, answer: await order(bench, argument) })
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : 'unknown'
    send({ kind: 'failed', id, code, message: error instanceof Error ? error.message : String(error) })
  }
  // Its answer is on the way; from here on nothing may hold the process.
  if (bench.isLeaving) process.disconnect()
}
