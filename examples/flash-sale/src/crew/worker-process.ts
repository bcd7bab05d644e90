// The program of a worker process: does what it is ordered, and sends back what happens.
import { machineMs } from '../happening.ts'
import { Pace } from '../pace.ts'
import { work } from '../worker.ts'
import type { Order } from './order.ts'

const pace = new Pace()
let openDoors = (): void => {}
const doorsOpen = new Promise<void>(resolve => {
  openDoors = resolve
})

process.on('message', message => {
  const order = message as Order
  switch (order.kind) {
    case 'work':
      void start(order)
      break
    case 'open-doors':
      openDoors()
      break
    case 'hesitate':
      pace.hesitate()
      break
  }
})
// Ctrl-C reaches every process of the terminal; this one ends when the one that started it says so, or is gone.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))

async function start({ worker, address, isFenced }: Order & { readonly kind: 'work' }): Promise<void> {
  const seller = {
    worker,
    doorsOpen,
    pace,
    tell: (deed: object) => void process.send?.({ ...deed, worker, atMs: machineMs() }),
  }
  await work(seller, address, { isFenced })
  // Nothing is left that would hold the process, so it ends by itself.
  process.channel?.unref()
}
