import { HoldfastError, UnavailableError } from '../errors.ts'
import type { QuorumNode, VoteAnswer } from './node.ts'
import type { NodeAnswer, Poll } from './poll.ts'
import { majorityOf } from './poll.ts'

/** What a caller is told when too few nodes can vote: who cannot, why, and for how long still. */
export function shortfallOf(nodes: readonly QuorumNode[], votes: Poll<VoteAnswer>): HoldfastError {
  const why = votes.answers.flatMap((entry, index) => reasonOf(nodes[index]?.name ?? '', entry))
  return shortfall(nodes, why, failuresOf(votes))
}

/** The same where the nodes were asked for something else than a vote; `false`: they do not have the one that it is about. */
export function unansweredBy(nodes: readonly QuorumNode[], asked: Poll<unknown>): HoldfastError {
  const why = asked.answers.flatMap((entry, index) => {
    if (entry?.kind === 'failed') return [sentence(entry.error)]
    return entry?.answer === false ? [`${nodes[index]?.name ?? ''} does not have the vote.`] : []
  })
  return shortfall(nodes, why, failuresOf(asked))
}

function shortfall(nodes: readonly QuorumNode[], why: readonly string[], failures: readonly unknown[]): HoldfastError {
  // A "no" for good is told as it is, once there are so many that trying again cannot help.
  const refusals = failures.filter(error => error instanceof HoldfastError && !(error instanceof UnavailableError))
  const count = nodes.length
  const majority = majorityOf(count)
  if (refusals.length > count - majority) return refusals[0] as HoldfastError
  return new UnavailableError(
    `Fewer than ${majority} of the ${count} servers of the quorum can serve: ${why.join(' ')}`,
    { cause: failures[0] },
  )
}

function reasonOf(name: string, entry: NodeAnswer<VoteAnswer> | undefined): string[] {
  if (entry === undefined) return []
  if (entry.kind === 'failed') return [sentence(entry.error)]
  return entry.answer.kind === 'quarantined' ? [quarantine(name, entry.answer.remainingMs)] : []
}

/** That a node is not to vote yet, in a sentence. */
export function quarantine(name: string, remainingMs: number): string {
  return `${name} may vote in ${Math.ceil(remainingMs)} ms: it is new, or was started or emptied, and might have forgotten a lease.`
}

function failuresOf({ answers }: Poll<unknown>): readonly unknown[] {
  return answers.flatMap(entry => (entry?.kind === 'failed' ? [entry.error] : []))
}

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.endsWith('.') ? message : `${message}.`
}
