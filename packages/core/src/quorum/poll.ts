/** What one node said, or why it said nothing. */
export type NodeAnswer<A> =
  | { readonly kind: 'answered'; readonly answer: A }
  | { readonly kind: 'failed'; readonly error: unknown }

/** What the nodes had said when the outcome was sure; undefined = nothing yet. In the order of the nodes. */
export interface Poll<A> {
  readonly isWon: boolean
  readonly answers: readonly (NodeAnswer<A> | undefined)[]
}

/** How many of `count` are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}

/**
 * Waits until a majority said yes, or cannot any more: never for a node that makes no difference. A failure is no yes.
 *
 * @param settled called for each node, also for those that nobody waits for any more; undefined = it failed
 */
export function poll<A>(
  asked: readonly Promise<A>[],
  isYes: (answer: A) => boolean,
  settled?: (index: number, answer: A | undefined) => void,
): Promise<Poll<A>> {
  const majority = majorityOf(asked.length)
  const answers: (NodeAnswer<A> | undefined)[] = asked.map(() => undefined)
  let yes = 0
  let no = 0
  return new Promise(resolve => {
    const count = (index: number, answer: NodeAnswer<A>): void => {
      settled?.(index, answer.kind === 'answered' ? answer.answer : undefined)
      // Whoever waits for the outcome reads what was known then.
      if (yes >= majority || no > asked.length - majority) return
      answers[index] = answer
      if (answer.kind === 'answered' && isYes(answer.answer)) yes += 1
      else no += 1
      if (yes >= majority) resolve({ isWon: true, answers })
      else if (no > asked.length - majority) resolve({ isWon: false, answers })
    }
    for (const [index, one] of asked.entries()) {
      one.then(
        answer => count(index, { kind: 'answered', answer }),
        (error: unknown) => count(index, { kind: 'failed', error }),
      )
    }
  })
}

/** The answers there are. */
export function answersOf<A>({ answers }: Poll<A>): readonly A[] {
  return answers.flatMap(entry => (entry?.kind === 'answered' ? [entry.answer] : []))
}
