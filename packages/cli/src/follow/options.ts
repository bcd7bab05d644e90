import type { ConfigOptions } from '@holdfast/config-client'
import { hostname } from 'node:os'
import type { Arguments } from '../command-line.ts'
import { usageError } from '../exit-codes.ts'
import { secretKeysFrom, trustedKeysFrom } from '../keys.ts'
import type { OptionSpecs } from '../option-specs.ts'
import type { Session } from '../session.ts'

/** For what applies releases as an instance does. */
export const INSTANCE_OPTIONS: OptionSpecs = Object.freeze({
  instance: { value: 'ID', says: 'who this is, for publishers (default host-pid)' },
  slot: { value: 'NAME', says: 'what its share of a percentage goes by (default the host)' },
  label: { value: 'NAME=VALUE', isMany: true, says: 'what a rollout can choose it by' },
  'state-dir': { value: 'DIR', says: 'keep the last good release there, to start without the store' },
  trust: { value: 'ID=FILE', isMany: true, says: 'take only releases signed with one of these Ed25519 public keys' },
  'exec-timeout': { value: 'TIME', says: 'how long a script may take (default 30s)' },
})

const EXEC_TIMEOUT_MS = 30_000

export function execTimeoutMsFrom(args: Arguments): number {
  return args.durationMs('exec-timeout') ?? EXEC_TIMEOUT_MS
}

/** What `INSTANCE_OPTIONS` say, and where to look. */
export function configOptionsFrom({ args, backend, scope, signal }: Session): Omit<ConfigOptions, 'namespaces'> {
  const [slot, snapshotDir, timeoutMs] = [args.text('slot'), args.text('state-dir'), args.durationMs('timeout')]
  const { secretKeys } = secretKeysFrom(process.env['HOLDFAST_SECRET_KEYS'])
  return {
    backend,
    ...scope,
    instance: {
      id: args.text('instance') ?? `${hostname()}-${process.pid}`,
      labels: labelsFrom(args.texts('label')),
      ...(slot === undefined ? {} : { slot }),
    },
    ...(snapshotDir === undefined ? {} : { snapshotDir }),
    ...(timeoutMs === undefined ? {} : { startup: { timeoutMs } }),
    ...(secretKeys === undefined ? {} : { secretKeys }),
    ...trustedKeysFrom(args),
    signal,
  }
}

function labelsFrom(texts: readonly string[]): Readonly<Record<string, string>> {
  const labels = texts.map(text => {
    const [, name, label] = /^([^=]+)=(.+)$/.exec(text) ?? []
    if (name === undefined || label === undefined) throw usageError('Expected --label to be like NAME=VALUE.')
    return [name, label] as const
  })
  return Object.fromEntries(labels)
}
