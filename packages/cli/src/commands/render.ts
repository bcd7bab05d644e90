import { openConfig } from '@holdfast/config-client'
import { readFile } from 'node:fs/promises'
import type { Arguments } from '../command-line.ts'
import { CommandError, usageError } from '../exit-codes.ts'
import { contentOf } from '../follow/deliverer.ts'
import type { Delivered, Delivery } from '../follow/delivery.ts'
import { environmentOf } from '../follow/delivery.ts'
import { follow, namespacesNamed } from '../follow/follow.ts'
import { INSTANCE_OPTIONS, configOptionsFrom, execTimeoutMsFrom } from '../follow/options.ts'
import type { FileText } from '../render/file-set.ts'
import { replaceFiles, restoreUnfinished } from '../render/file-set.ts'
import type { TextTemplate } from '../render/text-template.ts'
import { compileTemplate, namespacesIn, renderTemplate } from '../render/text-template.ts'
import { runScript } from '../script/run-script.ts'
import type { Command, Session } from '../session.ts'
import { tell } from './watch.ts'

/** A template, where it goes, and what looks at the result first. */
interface Page {
  readonly template: TextTemplate
  readonly output: string
  readonly check: string | undefined
}

const MODE_DEFAULT = 0o600
/** What is beside the scripts: files, and ending the scripts' process groups. */
const OVERHEAD_MS = 10_000

export const render: Command = {
  name: 'render',
  positionals: '',
  says: 'fills templates from what is published, and puts all files in place or none',
  more: `Placeholders: {{ namespace.path }} for a value on one line, {{ namespace.path | json }}, | shell, | raw; {{ @revision }}, @hash,
@app, @env; {{ "{{" }} for braces. All files are written beside their places and checked there (HF_FILE names the file, HF_OUTPUT its
place), then put in place together; when --reload fails the old ones come back, with owner and mode, and it runs again for them.`,
  options: {
    template: { value: 'FILE', isMany: true, says: 'a template; as many as there are outputs' },
    output: { value: 'FILE', isMany: true, says: 'where it goes' },
    check: { value: 'SCRIPT', isMany: true, says: 'refuses a file by its exit code; one for all, or one each' },
    reload: {
      value: 'SCRIPT',
      says: 'runs once when files have changed, with the environment that watch --exec gives',
    },
    mode: { value: 'MODE', says: 'of a file that is not there yet (default 600)' },
    watch: { says: 'go on, and render each release; as an instance like any other' },
    once: { says: 'render and end (the default)' },
    ...INSTANCE_OPTIONS,
  },
  mindsInterrupts: true,
  run: async session => {
    const { args } = session
    if (args.positionals.length > 0) throw usageError(`Expected only options, got ${args.positionals.join(' ')}.`)
    if (args.has('watch') && args.has('once')) throw usageError('Expected --watch or --once, got both.')
    const pages = await pagesFrom(args)
    const outputs = pages.map(({ output }) => output)
    if (await restoreUnfinished(outputs)) {
      session.output.remark('An earlier run was broken off: its files were put back first.')
    }
    const names = [...new Set(pages.flatMap(({ template }) => namespacesIn(template)))]
    const work = fileDelivery(session, pages)
    if (!args.has('watch')) return await renderOnce(session, names, work)
    await follow(session, { names, delivery: work, tell: (event, release) => tell(session, event, release) })
  },
}

interface FileDelivery extends Delivery {
  readonly replace: (delivered: Delivered) => Promise<'replaced' | 'unchanged'>
}

async function renderOnce(session: Session, names: readonly string[], { replace }: FileDelivery): Promise<void> {
  const namespaces = namespacesNamed(session, names)
  const config = await openConfig({ ...configOptionsFrom(session), namespaces, report: false })
  try {
    const { release, source } = config.status()
    if (release === undefined) throw new CommandError('failed', 'Nothing is published.')
    const outcome = await replace({ release, previous: undefined, content: contentOf({ config, namespaces }) })
    const { number, hash } = release
    session.output.result({ outcome, release: { number, hash }, source }, () =>
      outcome === 'replaced' ? `Rendered release ${number}.` : `The files say what release ${number} says already.`,
    )
  } finally {
    await config.close()
  }
}

function fileDelivery(session: Session, pages: readonly Page[]): FileDelivery {
  const { args, clock, scope, urgent } = session
  const timeoutMs = execTimeoutMsFrom(args)
  const modeOfNew = modeFrom(args)
  const reload = args.text('reload')
  const replace = async (delivered: Delivered): Promise<'replaced' | 'unchanged'> => {
    const env = environmentOf(delivered, scope)
    return await replaceFiles(textsOf(pages, delivered, session), {
      check: async ({ output }, staged) => {
        const command = pages.find(page => page.output === output)?.check
        const about = { ...env, HF_FILE: staged, HF_OUTPUT: output }
        if (command !== undefined) await runScript({ command, env: about, timeoutMs, signal: urgent, clock })
      },
      reload: async stage => {
        if (reload === undefined) return
        // The files are back by then: what uses them has to know, however urgent the end is.
        const signal = stage === 'new' ? urgent : undefined
        await runScript({
          command: reload,
          env: stage === 'new' ? env : restoredEnvironment(env),
          timeoutMs,
          signal,
          clock,
        })
      },
      modeOfNew,
    })
  }
  return {
    limitMs: timeoutMs * (pages.length + 2) + OVERHEAD_MS,
    deliver: async delivered => void (await replace(delivered)),
    replace,
  }
}

function restoredEnvironment(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { ...env, HF_REVISION: env['HF_PREVIOUS_REVISION'] ?? '', HF_HASH: '' }
}

function textsOf(pages: readonly Page[], { release, content }: Delivered, { scope }: Session): readonly FileText[] {
  const about = { ...scope, revision: String(release.number), hash: release.hash }
  return pages.map(({ template, output }) => ({
    output,
    text: renderTemplate(template, { about, namespaces: content }),
  }))
}

async function pagesFrom(args: Arguments): Promise<readonly Page[]> {
  const [templates, outputs, checks] = [args.texts('template'), args.texts('output'), args.texts('check')]
  if (templates.length === 0 || templates.length !== outputs.length) {
    throw usageError(
      `Expected as many --output as --template, and at least one, got ${templates.length} and ${outputs.length}.`,
    )
  }
  if (checks.length > 1 && checks.length !== templates.length) {
    throw usageError(`Expected one --check, or one for each --template, got ${checks.length}.`)
  }
  if (new Set(outputs).size !== outputs.length) throw usageError('Expected every --output to be another file.')
  return await Promise.all(
    templates.map(async (file, index) => ({
      template: compileTemplate(await templateText(file), file),
      output: outputs[index] ?? '',
      check: checks.length === 1 ? checks[0] : checks[index],
    })),
  )
}

async function templateText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError('usage', `Cannot read ${file}: ${cause.code ?? cause.message}.`, { cause })
  })
}

function modeFrom(args: Arguments): number {
  const text = args.text('mode')
  if (text === undefined) return MODE_DEFAULT
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8)
  throw usageError('Expected --mode to be octal, such as 640.')
}
