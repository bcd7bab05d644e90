export type { BarrierHarness, BarrierPromise } from './conformance/barrier-harness.ts'
export { barrierConformance } from './conformance/barriers.ts'
export type { Capability, ConformanceCase, LeaseHarness, LeasePromise } from './conformance/harness.ts'
export { leaseConformance } from './conformance/leases.ts'
export type { IdempotencyHarness, IdempotencyPromise } from './conformance/idempotency-harness.ts'
export { idempotencyConformance } from './conformance/idempotency.ts'
export type { RateHarness, RatePromise } from './conformance/rate-harness.ts'
export { rateConformance } from './conformance/rates.ts'
export type { RecordHarness, RecordPromise } from './conformance/record-harness.ts'
export { recordConformance } from './conformance/records.ts'
export type { FaultDirection, FaultProxy, FaultProxyOptions } from './fault-proxy.ts'
export { createFaultProxy } from './fault-proxy.ts'
export type { FlowDirection } from './fault-proxy/link.ts'
export type { CountedProtocol } from './fault-proxy/request-counters.ts'
export type { HistoryEvent, HoldEvent, Violation, WriteEvent } from './history.ts'
export { checkHistory, describeViolation } from './history.ts'
export type { QuorumSimulationOptions, QuorumSimulationReport } from './quorum/simulate-quorum.ts'
export { simulateQuorum } from './quorum/simulate-quorum.ts'
export type { LeaseAnswers } from './scripted-lease-store.ts'
export { ScriptedLeaseStore, scriptedBackend } from './scripted-lease-store.ts'
export type { SimulatedClockOptions } from './simulated-clock.ts'
export { SimulatedClock } from './simulated-clock.ts'
export type { SimulationViolation } from './simulation/checks.ts'
export type { TimedEvent } from './simulation/event-heap.ts'
export { EventHeap } from './simulation/event-heap.ts'
export type {
  SimulatedGrant,
  SimulatedHold,
  SimulatedIncident,
  SimulatedNote,
  SimulatedWrite,
  SimulationEvent,
} from './simulation/events.ts'
export { describeEvents } from './simulation/events.ts'
export type { SimulatedFault } from './simulation/faults.ts'
export { ALL_FAULTS, STANDARD_FAULTS } from './simulation/faults.ts'
export type { LockModel, LockStep, ModelViolation } from './simulation/models.ts'
export {
  checkLockSteps,
  fencedMutexModel,
  mutexModel,
  permitsModel,
  readWriteModel,
  reentrantFencedMutexModel,
  reentrantMutexModel,
} from './simulation/models.ts'
export type { SimulatedProcess } from './simulation/process.ts'
export type { SimulatedRegister } from './simulation/register.ts'
export type { SimulationReport } from './simulation/report.ts'
export type { SimulationOptions } from './simulation/simulate.ts'
export { simulate } from './simulation/simulate.ts'
