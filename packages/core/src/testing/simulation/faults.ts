/**
 * What can go wrong in a simulation.
 *
 * In the network: messages are lost (`drop`), late (`delay`), come twice (`duplicate`) or out of order (`reorder`), and links are cut for
 * a while, both ways or one (`partition`).
 *
 * In a process: it stands still (`pause`), its machine sleeps with its monotonic clock (`sleep`), somebody sets its wall clock
 * (`clock-jump`), or it dies and is started again (`kill`).
 *
 * In the store: it is away for a while (`crash`), or its clock is set back by less than the `maxClockSkewMs` that it is run with
 * (`store-clock-back`).
 *
 * In a store that does not keep what it acknowledged: it loses what it had not yet written to disk (`lose-tail`) or all (`wipe`), comes
 * back from an older copy (`restore`), or its clock is set forward, so that leases end early (`store-clock-forward`).
 */
export type SimulatedFault =
  | 'drop'
  | 'delay'
  | 'duplicate'
  | 'reorder'
  | 'partition'
  | 'pause'
  | 'sleep'
  | 'clock-jump'
  | 'kill'
  | 'crash'
  | 'store-clock-back'
  | 'lose-tail'
  | 'wipe'
  | 'restore'
  | 'store-clock-forward'

/** Those under which two valid leases never overlap: the store keeps what it acknowledged. */
export const STANDARD_FAULTS: readonly SimulatedFault[] = Object.freeze([
  'drop',
  'delay',
  'duplicate',
  'reorder',
  'partition',
  'pause',
  'sleep',
  'clock-jump',
  'kill',
  'crash',
  'store-clock-back',
])

/** Those under which only fencing helps: the store forgets. */
const FORGETTING_FAULTS: readonly SimulatedFault[] = Object.freeze([
  'lose-tail',
  'wipe',
  'restore',
  'store-clock-forward',
])

/** All of them. */
export const ALL_FAULTS: readonly SimulatedFault[] = Object.freeze([...STANDARD_FAULTS, ...FORGETTING_FAULTS])

/** Whether a store that may suffer these is `advisory`. */
export function forgets(faults: Iterable<SimulatedFault>): boolean {
  return [...faults].some(fault => FORGETTING_FAULTS.includes(fault))
}
