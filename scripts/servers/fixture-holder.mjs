// For servers.test.mjs: starts the servers, prints their pids and folders as JSON, and waits to be killed.
import { startPostgres, startRedis, startZooKeeper } from '../servers.mjs'

const servers = await Promise.all([startRedis(), startZooKeeper(), startPostgres()])
process.stdout.write(`${JSON.stringify(servers.map(({ pid, dataDir }) => ({ pid, dataDir })))}\n`)
setInterval(() => {}, 60_000)
