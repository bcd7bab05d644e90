import type { Election, Locks } from '@holdfast/lock'
import type { Client } from './contestant.ts'

/** Ours on any store. */
export function holdfastClient(locks: Locks): Client {
  const elections = new Map<string, Election>()
  const electionOf = (name: string): Election => {
    const election = elections.get(name) ?? locks.election(name)
    elections.set(name, election)
    return election
  }
  return {
    acquire: name => locks.acquire(name),
    campaign: name => electionOf(name).campaign(),
    resign: name => electionOf(name).resign(),
  }
}
