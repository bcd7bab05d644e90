import type { PolicyDescription } from './policy.ts'

interface Describable {
  describe(): PolicyDescription
}

const policies = new Set<WeakRef<Describable>>()
const gone = new FinalizationRegistry<WeakRef<Describable>>(reference => policies.delete(reference))

/** Notes a policy, for as long as somebody has it. */
export function registerPolicy(policy: Describable): void {
  const reference = new WeakRef(policy)
  policies.add(reference)
  gone.register(policy, reference)
}

/** The state of every policy that this process has now, in the order in which they were made. */
export function describePolicies(): readonly PolicyDescription[] {
  const descriptions: PolicyDescription[] = []
  for (const reference of policies) {
    const policy = reference.deref()
    if (policy !== undefined) descriptions.push(policy.describe())
  }
  return descriptions
}
