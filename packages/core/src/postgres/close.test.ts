import { freePort } from '@holdfast/scripts/servers'
import { expect, it, vi } from 'vitest'
import { acquireLease } from '../index.ts'
import { SimulatedClock } from '../testing/index.ts'
import { postgresBackend } from './index.ts'

it('closing waits for nothing when the server was never reached: it has nothing of ours', async () => {
  // Never advanced, so that nothing that has a limit is over.
  const clock = new SimulatedClock()
  const backend = postgresBackend({ url: `postgres://127.0.0.1:${await freePort()}/shop`, clock })
  const acquired = acquireLease(backend, 'orders', {}).catch((error: unknown) => error)
  const closed = vi.fn<() => void>()
  void backend.close().then(closed)
  await expect.poll(() => closed.mock.calls.length).toBe(1)
  expect(await acquired).toMatchObject({ code: 'HF_CLOSED' })
})
