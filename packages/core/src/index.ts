export { barriersOf } from './barriers/barriers-of.ts'
export { unansweredWait } from './answering.ts'
export { Bell } from './barriers/bell.ts'
export { checkRecipeName, recipeDirectory } from './barriers/recipe-directory.ts'
export type { ReadView } from './barriers/until-view.ts'
export { untilView } from './barriers/until-view.ts'
export type { Backend, BackendHealth, ReadyOptions } from './backend.ts'
export { BackendLifecycle } from './backend.ts'
export type { Clock, Timer } from './clock.ts'
export { systemClock } from './clock.ts'
export type { HoldfastErrorCode, LeaseLostReason } from './errors.ts'
export {
  ClosedError,
  ConflictError,
  DriverError,
  HoldfastError,
  InvalidArgumentError,
  InvariantError,
  LeaseLostError,
  RefusedError,
  StaleTokenError,
  UnavailableError,
  UnknownOutcomeError,
  UnsupportedError,
  WaitTimeoutError,
  assertNever,
} from './errors.ts'
export type { EventSource } from './events.ts'
export { Emitter } from './events.ts'
export type { Fenced, Guard } from './fencing/guard.ts'
export type { FencingHeaderOptions, FencingMiddleware, FetchHandler } from './fencing/header.ts'
export { FENCING_HEADER, fencedHandler, fencingHeader, fencingHeaders } from './fencing/header.ts'
export { FencingToken } from './fencing/token.ts'
export { inspectAs } from './inspected.ts'
export { acquireLease, tryAcquireLease } from './lease/acquire.ts'
export type { DowngradeOptions } from './lease/downgrade.ts'
export { downgradeLease } from './lease/downgrade.ts'
export type { Deadline, Moment } from './lease/deadline.ts'
export { ClockDeadline, answeredDeadline, momentOf } from './lease/deadline.ts'
export type { LeaseEvents } from './lease/keeper.ts'
export { keeperOf } from './lease/keeper.ts'
export { ofForeignBackend } from './lease/foreign.ts'
export type { Lease, LeaseGuarantee } from './lease/lease.ts'
export { onLeaseEnd } from './lease/lease.ts'
export { wishOf } from './lease/wish.ts'
export type { AcquireOptions } from './lease/options.ts'
export { ACQUIRE_OPTION_NAMES, checkAcquireOptions, decodeMeta, encodeMeta } from './lease/options.ts'
export { requestRevocation } from './lease/revocation.ts'
export { leaseHandle, resumeLease } from './lease/resume.ts'
export { withinWait } from './lease/wait-limit.ts'
export type { Live, LiveListener, SubscribeOptions, Subscription } from './live.ts'
export { LiveValue, mapLive } from './live.ts'
export { NAME_BYTES_MAX, checkName, percentEncode, show } from './names.ts'
export { TTL_MS, WAIT_MS, checkBoolean, checkDurationMs, checkGivenKeys, checkKeys, checkSignal } from './options.ts'
export type { DurationRange } from './options.ts'
export type { Cell, Seen } from './optimistic/cell.ts'
export { recordCell } from './optimistic/record-cell.ts'
export type { UpdateOptions, UpdateOutcome } from './optimistic/update-if-unchanged.ts'
export { updateIfUnchanged } from './optimistic/update-if-unchanged.ts'
export { onAbort, orAborted } from './abort.ts'
export type { BarrierStore, BarrierWait, Membership, PartyRequest } from './ports/barriers.ts'
export type {
  Grant,
  GrantLostListener,
  LeaseHolder,
  LeaseInfo,
  LeaseKind,
  LeaseMeta,
  LeaseMode,
  LeaseParty,
  LeaseRequest,
  LeaseRevocation,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from './ports/leases.ts'
export { kindOf } from './ports/leases.ts'
export type {
  BeatOutcome,
  Commit,
  CommitOutcome,
  DirectoryListener,
  DirectoryRead,
  EphemeralRecord,
  EphemeralRequest,
  Expectation,
  ReadRequest,
  RecordChange,
  RecordConflict,
  RecordStore,
  Revision,
  Stay,
  StoredRecord,
} from './ports/records.ts'
export { RECORD_LIMITS } from './ports/records.ts'
export type { AnnounceOptions, Announcement, AnnouncementState } from './records/announcement.ts'
export { announceRecord } from './records/announcement.ts'
export type { Succession } from './records/revision.ts'
export { randomId, successionOf } from './records/revision.ts'
export type { DirectoryView, DirectoryWatch, WatchLink, WatchOptions, WatchStatus } from './records/watch.ts'
export { watchDirectory } from './records/watch.ts'
export type { RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from './ports/rates.ts'
export { RATE_TAKES_MAX } from './ports/rates.ts'
export type { BeginOutcome, BeginRequest, Completion, IdempotencyStore, RunRef } from './ports/idempotency.ts'
export { RESULT_BYTES_MAX } from './ports/idempotency.ts'
export { unsupportedIdempotency, unsupportedLeases, unsupportedRates, unsupportedRecords } from './ports/unsupported.ts'
export type { Random } from './random.ts'
export { seededRandom, systemRandom } from './random.ts'
export { RequestIds } from './request-ids.ts'
export type { EventPoint, ListenerError } from './telemetry.ts'
export { eventPoint, reportListenerError, reportListenerRejection } from './telemetry.ts'
