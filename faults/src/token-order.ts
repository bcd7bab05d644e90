/** A grant as its holder saw it: the store decided on it some time between the question and the answer. */
export interface SeenGrant {
  readonly holder: string
  readonly token: bigint
  readonly askedAtMs: number
  readonly acquiredAtMs: number
}

/** The store was made to forget. */
export interface Wipe {
  readonly beganAtMs: number
  readonly endedAtMs: number
}

export interface TokenOrder {
  /** A sentence for each token that is not greater than that of an earlier grant. */
  readonly broken: readonly string[]
  /** Grants that came in another order than their tokens, and of which nobody outside can tell whether they were given in it. */
  readonly crossed: number
}

/**
 * Looks for tokens that do not grow in the order of grants. As long as nothing is forgotten, holds do not overlap, so the order in
 * which grants are heard of is that in which they were given. Once the store forgets a holder it may grant to another before the
 * first has heard of his grant: where a wipe came between question and answer, only grants that were heard of before the question
 * are known to be earlier.
 */
export function tokenOrder(grants: readonly SeenGrant[], wipes: readonly Wipe[]): TokenOrder {
  const broken: string[] = []
  let crossed = 0
  const inOrder = grants.toSorted((a, b) => a.acquiredAtMs - b.acquiredAtMs)
  for (const [index, grant] of inOrder.entries()) {
    const greater = inOrder.slice(0, index).filter(earlier => earlier.token >= grant.token)
    if (greater.length === 0) continue
    const isDisturbed = wipes.some(wipe => wipe.beganAtMs <= grant.acquiredAtMs && wipe.endedAtMs >= grant.askedAtMs)
    const certain = greater.find(
      earlier => !isDisturbed || earlier.token === grant.token || earlier.acquiredAtMs <= grant.askedAtMs,
    )
    if (certain === undefined) crossed += 1
    else broken.push(`The token ${grant.token} of ${grant.holder} came after ${certain.token} of ${certain.holder}.`)
  }
  return { broken, crossed }
}
