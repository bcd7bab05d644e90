import { openConfigAdmin } from '@holdfast/config-client'
import type { Address } from './address.ts'
import { backendAt } from './address.ts'
import { counter } from './namespaces.ts'

/** The head of an app, read anew: its number and the counter in it; undefined where there is none. */
export async function headOf(
  address: Address,
  app: string,
): Promise<{ readonly number: number; readonly value: number } | undefined> {
  const backend = backendAt(address)
  const admin = openConfigAdmin({ backend, app, env: 'faults', namespaces: [counter] })
  try {
    const { head } = await admin.state()
    if (head === undefined) return undefined
    const value = head.content.namespaces[counter.name]?.['value']
    return { number: head.release.number, value: typeof value === 'number' ? value : NaN }
  } finally {
    await admin.close()
    await backend.close()
  }
}
