import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { adviceFor } from './needs.mjs'
import { findJava, findPostgres, findRedisServer, findZooKeeperClassPath } from './servers/binaries.mjs'

vi.mock('./servers/binaries.mjs', () => ({
  findCuratorClassPath: vi.fn(),
  findJava: vi.fn(),
  findKazooPython: vi.fn(),
  findPostgres: vi.fn(),
  findRedisServer: vi.fn(),
  findZooKeeperClassPath: vi.fn(),
}))

beforeEach(() => {
  for (const find of [findJava, findPostgres, findRedisServer, findZooKeeperClassPath]) {
    vi.mocked(find).mockReturnValue(undefined)
  }
})
afterEach(() => vi.resetAllMocks())

test('who needs the programs themselves is told how to get them, and nothing of containers', () => {
  expect(adviceFor(['redis', 'zookeeper', 'postgres'], { canBorrow: false, isForbidden: false })).toBe(
    [
      'This machine lacks redis-server, ZooKeeper, PostgreSQL, and only on Debian as root is that installed for you. Do it yourself:',
      '  Debian, Ubuntu: sudo apt-get install redis-server libzookeeper-java libslf4j-java default-jre-headless postgresql',
      '  macOS:          brew install redis zookeeper postgresql@15',
    ].join('\n'),
  )
})

test('only what is missing is named', () => {
  vi.mocked(findJava).mockReturnValue('/usr/bin/java')
  expect(adviceFor(['zookeeper'], { canBorrow: false, isForbidden: false })).toContain(
    'install libzookeeper-java libslf4j-java\n',
  )
  vi.mocked(findJava).mockReturnValue(undefined)
  vi.mocked(findZooKeeperClassPath).mockReturnValue('/usr/share/java/zookeeper.jar')
  expect(adviceFor(['zookeeper'], { canBorrow: false, isForbidden: false })).toContain('install default-jre-headless\n')
})

test('a program that can use a server that runs already says so', () => {
  const advice = adviceFor(['redis'], { canBorrow: true, isForbidden: false })
  expect(advice).toMatch(/\n {2}docker: .* redis:7, then set HOLDFAST_REDIS_URL=redis:\/\/127\.0\.0\.1:6379$/)
})

test('who forbade to install is told what to install', () => {
  expect(adviceFor(['npm'], { canBorrow: false, isForbidden: true })).toBe(
    'This machine lacks npm packages, and HOLDFAST_INSTALL=never forbids to install that. Do it yourself:\n  any system:     npm install',
  )
})
