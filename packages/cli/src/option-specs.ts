/** An option as a command declares it. */
export interface OptionSpec {
  /** What stands for its value in the help, such as `FILE`; left out, it is a switch. */
  readonly value?: string
  /** Whether it may be given more than once. @default false */
  readonly isMany?: boolean
  readonly short?: string
  readonly says: string
}

/** Options by their long name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** What every command has. */
export const COMMON_OPTIONS: OptionSpecs = Object.freeze({
  backend: {
    value: 'URL',
    says: 'redis://host:6379, zookeeper://host:2181 or postgres://host/database; else HOLDFAST_BACKEND',
  },
  app: { value: 'NAME', says: 'whose it is; else HOLDFAST_APP. A layer is @infrastructure or @platform' },
  env: { value: 'NAME', says: 'in which environment; else HOLDFAST_ENV' },
  prefix: { value: 'NAME', says: 'what keys start with, on Redis (default hf)' },
  namespaces: { value: 'FILE', isMany: true, says: 'a module that exports namespaces and templates, to validate with' },
  timeout: { value: 'TIME', says: 'how long the store may take to answer (default 10s)' },
  json: { says: 'one object for programs; errors as {"error":{code,message}}' },
  help: { short: 'h', says: 'this text' },
})

/** For what changes something. */
export const YES: OptionSpecs = Object.freeze({
  yes: { short: 'y', says: 'do not ask; needed where there is no terminal' },
})

/** For what can be waited for. */
export const WAIT: OptionSpecs = Object.freeze({
  wait: { says: 'until the instances have answered; the exit code says how' },
})

export const BAKE_DEFAULT = '60s'

/** How patient a rollout is. */
export const PATIENCE: OptionSpecs = Object.freeze({
  settle: { value: 'TIME', says: 'how long instances may take to answer (default 30s)' },
  bake: { value: 'TIME', says: `how long each step must go well before the next (default ${BAKE_DEFAULT})` },
  'abort-on-silent': { value: 'N', says: 'take steps back when N instances do not answer' },
})

/** For what publishes. */
export const PUBLISH_OPTIONS: OptionSpecs = Object.freeze({
  ...YES,
  expect: { value: 'N', says: 'only if release N is the head; 0 where there is none' },
  message: { value: 'TEXT', short: 'm', says: 'why, for the history' },
  author: { value: 'NAME', says: 'who; else HOLDFAST_AUTHOR, else the user that runs it' },
  'request-id': { value: 'ID', says: 'published again with the same one, it is published once' },
  steps: { value: 'A,B,…', says: 'in steps such as 1,10%,100% or zone=a,100% (a label); waits, as with --wait' },
  ...PATIENCE,
  ...WAIT,
  'sign-with': { value: 'FILE', says: 'sign with this Ed25519 private key (PEM)' },
  'key-id': { value: 'ID', says: 'the name of that key' },
})
