import type {
  Config,
  ConfigEvents,
  ConfigOptions,
  Namespace,
  ReleaseName,
  ReleaseWithContent,
} from '@holdfast/config-client'
import { openConfig } from '@holdfast/config-client'
import { onAbort } from '@holdfast/core'
import { anyNamespace } from '../definitions.ts'
import type { Session } from '../session.ts'
import type { Opened } from './deliverer.ts'
import { Deliverer, contentOf } from './deliverer.ts'
import type { Delivered, Delivery } from './delivery.ts'
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
 *
 * Which namespaces there are is part of a configuration, so to follow all it is opened anew when a release has others. What a
 * release says of those is delivered with it nevertheless, unless it changes nothing else: then it is delivered after it was applied.
 */
export async function follow(session: Session, options: FollowOptions): Promise<void> {
  const deliverer = options.delivery === undefined ? undefined : new Deliverer(options.delivery)
  onAbort(session.signal, () => {
    if (deliverer?.isBusy === true)
      session.output.remark('Ends when what was begun is done; interrupted again it is undone.')
  })
  try {
    let names = options.names ?? (await publishedNames(session))
    while (!session.signal.aborted) {
      const others = await followNames(session, names, { ...options, deliverer })
      names = [...names, ...others]
    }
  } catch (error) {
    if (!session.signal.aborted) throw error
  }
}

/** The namespaces to open a configuration with: as they are defined, else any object. */
export function namespacesNamed(
  { definitions }: Pick<Session, 'definitions'>,
  names: readonly string[],
): readonly Namespace<unknown, never>[] {
  return [...new Set(names)].map(
    name => definitions.namespaces.find(namespace => namespace.name === name) ?? anyNamespace(name),
  )
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
    const read = (): Promise<Delivered['content']> => contentToDeliver(session, { config, namespaces }, options.names)
    deliverer?.join({ config, namespaces }, read)
    await deliverer?.deliver(config.current.release, read)
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
    namespaces: namespaces.length === 0 ? [anyNamespace(NOTHING_YET)] : namespaces,
    startup: { ...common.startup, fallback: ['last-known-good', 'defaults'] },
    ...(deliverer === undefined ? { report: false } : { applyTimeoutMs: deliverer.applyTimeoutMs }),
  }
}

/** What the opened namespaces say, and when all are to be followed, what is published in the others. */
async function contentToDeliver(
  { admin, definitions }: Session,
  opened: Opened,
  wanted: FollowOptions['names'],
): Promise<Delivered['content']> {
  const { release } = opened.config.current
  const typed = contentOf(opened)
  if (wanted !== undefined || release === undefined) return typed
  const { namespaces } = (await admin.release(release.number)).content
  // One that is not published any more has been opened all the same; only a definition makes something of it.
  const isThere = (name: string): boolean =>
    Object.hasOwn(namespaces, name) || definitions.namespaces.some(known => known.name === name)
  const named = Object.entries({ ...namespaces, ...typed }).filter(([name]) => isThere(name))
  return Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function eventsOf(config: Config): Inbox<FollowEvent> {
  const inbox = new Inbox<FollowEvent>()
  inbox.put({ event: 'started', status: config.status() })
  config.events.on('applied', event => inbox.put({ event: 'applied', ...event }))
  config.events.on('refused', refusal => inbox.put({ event: 'refused', refusal }))
  config.events.on('state', event => inbox.put({ event: 'state', ...event }))
  return inbox
}

// For people, and to see which namespaces it has. That it cannot be read is no reason to stop following.
async function releaseOf(event: FollowEvent, { admin }: Session): Promise<ReleaseWithContent | undefined> {
  const name = nameIn(event)
  if (name === undefined) return undefined
  return await admin.release(name.number).catch(() => undefined)
}

function nameIn(event: FollowEvent): ReleaseName | undefined {
  if (event.event === 'started') return event.status.release
  return event.event === 'applied' ? event.release : undefined
}
