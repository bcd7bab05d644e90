import type { LeaseHolder } from '../ports/leases.ts'
import type { Ballot, QuorumNode, VoteAnswer, VoteRef } from './node.ts'

/** A node that answers what a test tells it to, and remembers what it was asked: `vote 1`, `raise 1`, `withdraw 1` by round. */
export class ScriptedNode implements QuorumNode {
  readonly name: string
  readonly asked: string[] = []
  onVote: (ballot: Ballot) => Promise<VoteAnswer>
  onRaise: () => Promise<boolean> = async () => true
  onRenew: () => Promise<boolean> = async () => true
  onWithdraw: () => Promise<boolean> = async () => true

  constructor(name: string, token = 1) {
    this.name = name
    this.onVote = async () => ({ kind: 'yes', token: String(token).padStart(20, '0') })
  }

  vote(ballot: Ballot): Promise<VoteAnswer> {
    this.#note('vote', ballot)
    return this.onVote(ballot)
  }

  raise(vote: VoteRef, token: string): Promise<boolean> {
    this.#note(`raise to ${Number(token)}`, vote)
    return this.onRaise()
  }

  renew(vote: VoteRef): Promise<boolean> {
    this.#note('renew', vote)
    return this.onRenew()
  }

  withdraw(vote: VoteRef): Promise<boolean> {
    this.#note('withdraw', vote)
    return this.onWithdraw()
  }

  async inspect(): Promise<LeaseHolder | undefined> {
    return undefined
  }

  #note(what: string, { requestId }: VoteRef): void {
    this.asked.push(`${what} ${requestId.split('/')[1] ?? ''}`)
  }
}
