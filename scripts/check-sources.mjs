// `npm run check:sources`: the rules that the linter has no words for, on every file that git knows or would.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.mjs'
import { brokenRules, sourceRules } from './source-rules.mjs'
import { Failure, reportFailure, say } from './steps.mjs'

await reportFailure(() => {
  const checked = sourceFiles()
  if (checked.length === 0) throw new Failure('Found no source to check.')
  const broken = checked.flatMap(path => brokenRules(path, readFileSync(join(root, path), 'utf8')))
  if (broken.length > 0) throw new Failure(broken.join('\n'))
  say(`${checked.length} files keep the source rules.`)
})

function sourceFiles() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  return listed
    .toString()
    .split('\0')
    .filter(path => sourceRules.some(rule => rule.appliesTo(path)) && existsSync(join(root, path)))
}
