/** Puts the numbers of several runs together, each as its name says (see `Findings.numbers`). */
export function mergedNumbers(all: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const merged: Record<string, number> = {}
  for (const numbers of all) {
    for (const [name, value] of Object.entries(numbers)) {
      const known = merged[name]
      merged[name] = known === undefined ? value : merge(name, known, value)
    }
  }
  return Object.fromEntries(Object.entries(merged).map(([name, value]) => [name, Math.round(value * 100) / 100]))
}

function merge(name: string, a: number, b: number): number {
  if (name.endsWith('Max')) return Math.max(a, b)
  if (name.endsWith('Min')) return Math.min(a, b)
  if (name.startsWith('bound')) return b
  return a + b
}
