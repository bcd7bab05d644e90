export type {
  Config,
  ConfigEvents,
  ConfigSnapshot,
  ConfigState,
  ConfigStatus,
  Origin,
  OriginLayer,
  Participant,
  PendingRestart,
  Prepared,
  Transaction,
} from './client/config.ts'
export type { CrashLoopLimits } from './client/crash-brake.ts'
export type { ConfigOptions, InstanceOptions, StartFallback, StartupOptions } from './client/options.ts'
export { openConfig } from './client/open-config.ts'
export type { ConfigSource, InstanceReport, Refusal, RefusalStage } from './client/report.ts'
export type { ConfigAdminOptions } from './admin/admin-options.ts'
export type {
  AbortConditions,
  AuthorizationRequest,
  ConfigAdmin,
  Deployment,
  HistoryEntry,
  Plan,
  PublishOptions,
  ReleaseWithContent,
  RolloutStep,
  ScopeState,
  Settlement,
} from './admin/admin.ts'
export { openConfigAdmin } from './admin/open-config-admin.ts'
export type { ConfigIssue } from './errors.ts'
export { ForbiddenError, InvalidConfigError, NoConfigError, UntrustedReleaseError, describeIssue } from './errors.ts'
export type { Edit } from './namespace/edit.ts'
export type {
  InputOf,
  Invariant,
  Namespace,
  NamespaceDefinition,
  NamespaceOptions,
  NamespaceValue,
  ObjectSchema,
  Override,
  PatchOf,
  ValueOf,
} from './namespace/namespace.ts'
export { defineNamespace } from './namespace/namespace.ts'
export { Secret } from './namespace/secret.ts'
export type { Template, TemplateLayer } from './namespace/template.ts'
export { appOfLayer, defineTemplate } from './namespace/template.ts'
export type { ReleaseChange } from './release/diff.ts'
export type { SecretKeys } from './release/encryption.ts'
export type { Json, JsonObject } from './release/json.ts'
export type {
  Candidate,
  PinnedOption,
  Release,
  ReleaseContent,
  ReleaseKind,
  ReleaseName,
  ReleaseSignature,
  RolloutRule,
} from './release/release.ts'
export type { Scope } from './release/scope.ts'
export type { SigningKey, TrustedKeys } from './release/signature.ts'
