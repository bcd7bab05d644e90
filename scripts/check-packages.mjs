// `npm run check:packages`: what would be published, packed and looked at as its users would get it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './root.mjs'
import { build, Failure, reportFailure, run, say } from './steps.mjs'

await reportFailure(() => {
  build()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pack-'))
  try {
    for (const name of readdirSync(join(root, 'packages'))) checkPackage(name, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

/**
 * @param {string} name
 * @param {string} folder
 */
function checkPackage(name, folder) {
  const tarball = pack(name, folder)
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
  refuseStrays(name, files)
  run(join(root, 'node_modules/.bin/publint'), [tarball, '--strict'], { quiet: true })
  run(join(root, 'node_modules/.bin/attw'), [tarball, '--profile', 'esm-only', '--no-emoji'], { quiet: true })
  say(`packages/${name}: ${files.length} files, well formed.`)
}

/**
 * @param {string} name
 * @param {string} folder
 */
function pack(name, folder) {
  const args = ['pack', '--json', '--pack-destination', folder, `./packages/${name}`]
  execFileSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const { name: full, version } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
  return join(folder, `${full.replace('@', '').replace('/', '-')}-${version}.tgz`)
}

/**
 * @param {string} name
 * @param {readonly string[]} files
 */
function refuseStrays(name, files) {
  const strays = files.filter(file => /\.(test|fixture)\.|\.tsbuildinfo$|^package\/src\//.test(file))
  if (strays.length > 0) throw new Failure(`packages/${name} would publish ${strays.join(', ')}.`)
  for (const wanted of ['LICENSE', 'README.md', ...entriesOf(name)].map(path => `package/${path}`)) {
    if (!files.includes(wanted)) throw new Failure(`packages/${name} would be published without ${wanted}.`)
  }
}

/**
 * What the manifest says that there is to import or to run.
 * @param {string} name
 * @returns {string[]}
 */
function entriesOf(name) {
  const { exports, bin = {} } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
  const targets = Object.values(exports).flatMap(target =>
    typeof target === 'string' ? [target] : Object.values(target),
  )
  return [...targets, ...Object.values(bin)].map(path => path.replace('./', ''))
}
