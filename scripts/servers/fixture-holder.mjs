// For servers.test.mjs: starts both servers, prints their pids and folders as JSON, and waits to be killed.
import { startRedis, startZooKeeper } from '../servers.mjs'

const servers = await Promise.all([startRedis(), startZooKeeper()])
process.stdout.write(`${JSON.stringify(servers.map(({ pid, dataDir }) => ({ pid, dataDir })))}\n`)
setInterval(() => {}, 60_000)
