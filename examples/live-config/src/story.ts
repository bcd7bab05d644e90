import type { Deployment } from '@holdfast/config-client'
import { openConfig, openConfigAdmin } from '@holdfast/config-client'
import type { Backend } from '@holdfast/core'
import { HttpService } from './http-service.ts'
import { service } from './namespace.ts'
import { PoolHolder } from './pool.ts'

const SCOPE = { app: 'shop', env: 'demo' }
const POOL_MAX = 4
const CONNECTIONS_MAX = 12

/** A service runs, and somebody changes its configuration; everything that happens is said in a line. */
export async function tellStory(backend: Backend, say: (line: string) => void): Promise<void> {
  const admin = openConfigAdmin({ backend, ...SCOPE, namespaces: [service], author: 'ann' })
  await admin.publish([service.replace({ pool: { max: POOL_MAX } })], { message: 'the first one' })

  const config = await openConfig({
    backend,
    ...SCOPE,
    namespaces: [service],
    instance: { id: 'shop-1', slot: 'shop-1' },
  })
  const pool = new PoolHolder(POOL_MAX, CONNECTIONS_MAX)
  config.participate(service, pool)
  config.events.on('applied', ({ release }) => say(`  shop-1 applied release ${release?.number ?? 0}`))
  config.events.on('refused', ({ release }) => say(`  shop-1 refused release ${release.number}, and goes on as it was`))
  await using web = await HttpService.start(config, pool, say)
  const ask = async (): Promise<void> => say(`  GET /home answers ${await (await fetch(`${web.url}/home`)).text()}`)
  const publish = async (what: string, change: Parameters<typeof service.patch>[0]): Promise<void> => {
    say(`${what}`)
    say(
      `  ${settled(await (await admin.publish([service.patch(change)], { message: what, settleMs: 5_000 })).settled)}`,
    )
  }

  say('The service runs on release 1.')
  await ask()
  await publish('Ann turns on the debug log.', { logLevel: 'debug' })
  await ask()
  await publish('Recommendations are slow: she degrades them.', { degraded: true, logLevel: 'info' })
  await ask()
  await publish('A larger pool: the new one is opened beside the old one, then takes its place.', {
    degraded: false,
    pool: { max: 10 },
  })
  await ask()
  await publish('Far too large a pool: the database would not take it.', { pool: { max: 20 } })
  await ask()
  say('She rolls back to release 4, as a new release.')
  say(`  ${settled(await (await admin.rollback({ to: 4, message: 'back', settleMs: 5_000 })).settled)}`)
  await publish('Another port: only a restart can change that.', { port: 8_080 })
  say(
    `  waiting for a restart: ${config
      .status()
      .pendingRestart.map(({ field }) => field)
      .join(', ')}`,
  )
  say('What happened:')
  for (const { number, kind, author, message } of await admin.history()) {
    say(`  ${number}  ${kind.padEnd(8)}  ${author}  ${message}`)
  }
  await config.close()
  await admin.close()
}

function settled({ kind, release, applied, refused }: Awaited<Deployment['settled']>): string {
  const reasons = refused.map(
    ({ instance, refusal }) => `${instance}: ${refusal.issues.map(({ message }) => message).join('; ')}`,
  )
  return [`release ${release.number} is ${kind}`, `applied by ${applied.length}`, ...reasons].join(', ')
}
