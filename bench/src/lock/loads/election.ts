import type { Client } from '../contestants/contestant.ts'

/** Stands for an election and returns once it leads, or gives that back. */
export interface ElectionLoad {
  readonly kind: 'campaign' | 'resign'
  readonly name: string
}

/** Returns once it leads; it does so until it resigns, or its process ends. */
export async function campaign(client: Client, { name }: ElectionLoad): Promise<null> {
  if (client.campaign === undefined) throw new Error('This contestant has no elections.')
  await client.campaign(name)
  return null
}

export async function resign(client: Client, { name }: ElectionLoad): Promise<null> {
  await client.resign?.(name)
  return null
}
