import type { ChildProcess } from 'node:child_process'

/** A server process of one's own. It ends with the process that started it, however that ends. */
export interface OwnServer extends AsyncDisposable {
  readonly port: number
  /** Of the server itself, not of a shell; changes with `restart`. */
  readonly pid: number | undefined
  readonly dataDir: string
  readonly process: ChildProcess | undefined
  /**
   * Sends a signal. Returns when the process is gone for SIGKILL and SIGTERM, at once for others.
   * @default 'SIGKILL'
   */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Ends the process (unless `kill` did) and starts it again on the same port; returns when it answers. */
  restart(options?: {
    /** @default true */
    readonly keepData?: boolean
    /** @default 'SIGKILL' */
    readonly signal?: 'SIGKILL' | 'SIGTERM'
  }): Promise<void>
  /** Ends the process and removes its data folder, unless that was given. Idempotent. */
  stop(): Promise<void>
}

export interface RedisServer extends OwnServer {
  readonly url: string
}

/** Three masters, ready to serve every slot. All nodes end with the process that started them. */
export interface RedisCluster extends AsyncDisposable {
  /** The three masters, then a replica of each, and so on: as it was started. */
  readonly nodes: readonly RedisServer[]
  /** Kills all nodes and starts them again on their ports, with their data; returns when they serve every slot. */
  restart(): Promise<void>
  /** Ends all nodes and removes their data folders. Idempotent. */
  stop(): Promise<void>
}

export interface RedisClusterOptions extends Pick<RedisOptions, 'appendonly' | 'args'> {
  /** Of each master. @default 0 */
  readonly replicas?: number
  /** After how long without an answer a node counts as failing, in milliseconds. @default 5000 */
  readonly nodeTimeoutMs?: number
}

/** A master, two replicas, and three sentinels that agree by two. They end with the process that started them. */
export interface RedisSentinel extends AsyncDisposable {
  /** What the sentinels call the master. */
  readonly name: string
  /** The master first, then the replicas: as it was started. */
  readonly servers: readonly RedisServer[]
  readonly sentinels: readonly OwnServer[]
  /** Where the master is now, as two sentinels say; undefined while they do not agree. */
  masterPort(): Promise<number | undefined>
  /** Ends all and removes their data folders. Idempotent. */
  stop(): Promise<void>
}

export interface RedisSentinelOptions extends Pick<RedisOptions, 'appendonly' | 'args'> {
  /** After how long without an answer a master counts as down, in milliseconds. @default 500 */
  readonly downAfterMs?: number
  /**
   * By which port the replicas and the sentinels know the master, that of a proxy in front of it; it is called once, with the master's own.
   * @default its own
   */
  readonly masterVia?: (port: number) => Promise<number>
}

export interface RedisOptions {
  /** `true` is `'always'`: what was acknowledged survives a crash. @default false */
  readonly appendonly?: boolean | 'always' | 'everysec'
  /** Further arguments of redis-server, such as `['--maxmemory', '1mb']`. */
  readonly args?: readonly string[]
  /** Kept by `stop`. @default a temporary folder of its own */
  readonly dataDir?: string
  /** @default a free one */
  readonly port?: number
}

export interface ZooKeeperServer extends OwnServer {
  readonly connectString: string
}

export interface ZooKeeperEnsembleOptions extends Omit<ZooKeeperOptions, 'dataDir' | 'port'> {
  /** How long a follower and its leader bear each other's silence, in ticks. @default 10 */
  readonly syncLimit?: number
  /**
   * By which port a server reaches another while that leads, that of a proxy in front of it; servers are counted from 0 as in `servers`.
   * @default straight
   */
  readonly link?: (link: { readonly from: number; readonly to: number; readonly port: number }) => Promise<number>
}

/** Three servers. They end with the process that started them. */
export interface ZooKeeperEnsemble extends AsyncDisposable {
  readonly servers: readonly ZooKeeperServer[]
  /** Of all of them. */
  readonly connectString: string
  /** Where each listens for the others while it leads. */
  readonly quorumPorts: readonly number[]
  /** Undefined while none leads. */
  leader(): Promise<ZooKeeperServer | undefined>
  /** Resolves when all of them serve. */
  ready(): Promise<void>
  /** Ends all and removes their data folders. Idempotent. */
  stop(): Promise<void>
}

export interface ZooKeeperOptions {
  /** Milliseconds; sessions end on multiples of it. @default 500 */
  readonly tickTime?: number
  /** @default 500 */
  readonly minSessionTimeoutMs?: number
  /** @default 60_000 */
  readonly maxSessionTimeoutMs?: number
  /** Kept by `stop`. @default a temporary folder of its own */
  readonly dataDir?: string
  /** @default a free one */
  readonly port?: number
}

export interface PostgresServer extends OwnServer {
  /** Of the superuser, who needs no password. */
  readonly url: string
}

export interface PostgresOptions {
  /** Further arguments of postgres, such as `['-c', 'fsync=on']`, which is off otherwise: a crash of the machine loses data. */
  readonly args?: readonly string[]
  /** Kept by `stop`. @default a temporary folder of its own */
  readonly dataDir?: string
  /** @default a free one */
  readonly port?: number
}

/** Never to be flushed, stopped or reconfigured: it may be the user's. `stop` ends it only if we started it. */
export interface SharedRedis {
  readonly url: string
  stop(): Promise<void>
}

/** Never to be stopped or reconfigured: it may be the user's. `stop` ends it only if we started it. */
export interface SharedZooKeeper {
  readonly connectString: string
  stop(): Promise<void>
}

/** Never to be stopped or reconfigured: it may be the user's. Use a schema of your own there. `stop` ends it only if we started it. */
export interface SharedPostgres {
  readonly url: string
  stop(): Promise<void>
}

export declare function startRedis(options?: RedisOptions): Promise<RedisServer>
export declare function startRedisCluster(options?: RedisClusterOptions): Promise<RedisCluster>
export declare function startRedisSentinel(options?: RedisSentinelOptions): Promise<RedisSentinel>
export declare function startZooKeeper(options?: ZooKeeperOptions): Promise<ZooKeeperServer>
export declare function startZooKeeperEnsemble(options?: ZooKeeperEnsembleOptions): Promise<ZooKeeperEnsemble>
export declare function startPostgres(options?: PostgresOptions): Promise<PostgresServer>

/** The server that HOLDFAST_REDIS_URL names, else one of our own. */
export declare function sharedRedis(): Promise<SharedRedis>

/** The server that HOLDFAST_ZOOKEEPER names, else one of our own. */
export declare function sharedZooKeeper(): Promise<SharedZooKeeper>

/** The server that HOLDFAST_POSTGRES_URL names, else one of our own. */
export declare function sharedPostgres(): Promise<SharedPostgres>

/** A loopback port that nobody listens on now, out of reach of outgoing connections. */
export declare function freePort(): Promise<number>
