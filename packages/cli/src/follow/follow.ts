import type {
  Config,
  ConfigEvents,
  ConfigOptions,
  Namespace,
  ReleaseName,
  ReleaseWithContent,
} from '@holdfast/config-client'
import { openConfig } from '@holdfast/config-client'
import { anyNamespace } from '../definitions.ts'
import type { Session } from '../session.ts'
import { Deliverer, contentOf } from './deliverer.ts'
import type { Delivery } from './delivery.ts'
import { Inbox } from './inbox.ts'
import { configOptionsFrom } from './options.ts'

/** What is followed, and what is done with it. */
export interface FollowOptions {
  /** Undefined for all, also those that come later. */
  readonly names: readonly string[] | undefined
  /** Without it releases are only told of, and no publisher counts on this process. */
  readonly delivery: Delivery | undefined
  readonly tell: (event: FollowEvent, release: ReleaseWithContent | undefined) => void
}

/** Something that happened while following. */
export type FollowEvent =
  | { readonly event: 'started'; readonly status: ReturnType<Config['status']> }
  | ({ readonly event: 'applied' } & ConfigEvents['applied'])
  | { readonly event: 'refused'; readonly refusal: ConfigEvents['refused'] }
  | ({ readonly event: 'state' } & ConfigEvents['state'])

/** A configuration has one namespace at least; this one stands in while nothing is published. */
const NOTHING_YET = 'nothing-yet'

/**
 * Applies releases as they come until the session is to end. The first one is delivered as well; when that is refused, it rejects.
 * What is refused later is reported to the publisher, and following goes on.
 */
export async function follow(session: Session, options: FollowOptions): Promise<void> {
  const deliverer = options.delivery === undefined ? undefined : new Deliverer(options.delivery)
  let names = options.names ?? (await publishedNames(session))
  while (!session.signal.aborted) {
    names = [...names, ...(await followNames(session, names, { ...options, deliverer }))]
  }
}

/** The namespaces to open a configuration with: as they are defined, else any object. */
export function namespacesNamed(
  { definitions }: Session,
  names: readonly string[],
): readonly Namespace<unknown, never>[] {
  const known = (name: string): Namespace<unknown, never> =>
    definitions.namespaces.find(namespace => namespace.name === name) ?? anyNamespace(name)
  return [...new Set(names.length === 0 ? [NOTHING_YET] : names)].map(known)
}

async function publishedNames({ admin }: Session): Promise<readonly string[]> {
  const { head } = await admin.state()
  return Object.keys(head?.content.namespaces ?? {})
}

/** Until the session is to end, or all are to be followed and a release has others: then it answers those. */
async function followNames(
  session: Session,
  names: readonly string[],
  options: FollowOptions & { readonly deliverer: Deliverer | undefined },
): Promise<readonly string[]> {
  const { deliverer, tell } = options
  const namespaces = namespacesNamed(session, names)
  const config = await openConfig(followedWith(session, namespaces, deliverer))
  try {
    const inbox = eventsOf(config)
    deliverer?.joinAll(config, namespaces)
    // Without names there is nothing to deliver, even if a release has come meanwhile: it is followed in the next round.
    if (names.length > 0) await deliverer?.deliver(config.status().release, contentOf(config, namespaces))
    for (;;) {
      const event = await inbox.next(session.signal)
      if (event === undefined) return []
      const release = await releaseOf(event, session)
      tell(event, release)
      const others = Object.keys(release?.content.namespaces ?? {}).filter(name => !names.includes(name))
      if (options.names === undefined && others.length > 0) return others
    }
  } finally {
    await config.close()
  }
}

function followedWith(
  session: Session,
  namespaces: readonly Namespace<unknown, never>[],
  deliverer: Deliverer | undefined,
): ConfigOptions {
  const common = configOptionsFrom(session)
  return {
    ...common,
    namespaces,
    startup: { ...common.startup, fallback: ['last-known-good', 'defaults'] },
    ...(deliverer === undefined ? { report: false } : { applyTimeoutMs: deliverer.applyTimeoutMs }),
  }
}

function eventsOf(config: Config): Inbox<FollowEvent> {
  const inbox = new Inbox<FollowEvent>()
  inbox.put({ event: 'started', status: config.status() })
  config.events.on('applied', event => inbox.put({ event: 'applied', ...event }))
  config.events.on('refused', refusal => inbox.put({ event: 'refused', refusal }))
  config.events.on('state', event => inbox.put({ event: 'state', ...event }))
  return inbox
}

function nameIn(event: FollowEvent): ReleaseName | undefined {
  if (event.event === 'started') return event.status.release
  return event.event === 'applied' ? event.release : undefined
}

// For people, and to see which namespaces it has. That it cannot be read is no reason to stop following.
async function releaseOf(event: FollowEvent, { admin }: Session): Promise<ReleaseWithContent | undefined> {
  const name = nameIn(event)
  if (name === undefined) return undefined
  return await admin.release(name.number).catch(() => undefined)
}
