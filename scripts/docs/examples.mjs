// The examples of the documentation as programs: every `js` and `ts` block is one.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../root.mjs'
import { codeBlocksOf, pagePaths, readPage } from './pages.mjs'

/** @typedef {import('./pages.mjs').CodeBlock} CodeBlock */

/**
 * @typedef {object} Example
 * @property {string} name the page and line
 * @property {'js' | 'ts'} language
 * @property {string} program
 * @property {string | undefined} output what it prints: a `text output` block right behind it
 */

const RUN_MS_MAX = 15_000
const runFile = promisify(execFile)

/** @returns {Example[]} */
export function allExamples() {
  return pagePaths().flatMap(page => examplesOf(page, readPage(page)))
}

/**
 * A block that imports nothing continues the page's `setup` block, and the backend made there is closed behind it.
 * @param {string} page
 * @param {string} text
 * @returns {Example[]}
 */
export function examplesOf(page, text) {
  const blocks = codeBlocksOf(page, text)
  const setup = blocks.find(block => block.words.includes('setup'))
  return blocks.flatMap((block, index) => {
    const { language, line, words } = block
    if (language !== 'js' && language !== 'ts') return []
    const next = blocks[index + 1]
    const output = next?.words.includes('output') === true ? next.code : undefined
    const isWhole = words.includes('setup') || /^import /m.test(block.code)
    const program = isWhole && !words.includes('setup') ? block.code : continued(setup, block)
    return [{ name: `${page}:${line}`, language, program, output }]
  })
}

/**
 * @param {CodeBlock | undefined} setup
 * @param {CodeBlock} block
 */
function continued(setup, block) {
  if (setup === undefined)
    throw new Error(`${block.page}:${block.line} imports nothing, and the page has no setup block.`)
  return `${setup.code}\n${block === setup ? '' : block.code}\nawait backend.close()\n`
}

/** Programs in a folder of the repository, so that they find its packages. */
export class Workshop {
  /** @type {string} */
  #folder
  /** @type {readonly Example[]} */
  #examples

  /**
   * @param {readonly Example[]} examples
   * @param {(program: string) => string} place puts the addresses of real servers into a program
   */
  constructor(examples, place) {
    mkdirSync(join(root, 'tmp'), { recursive: true })
    this.#folder = mkdtempSync(join(root, 'tmp/docs-'))
    this.#examples = examples
    mkdirSync(join(this.#folder, 'src'))
    for (const example of examples) writeFileSync(this.#sourceOf(example), place(example.program))
    for (const [name, config] of Object.entries(configs))
      writeFileSync(join(this.#folder, name), JSON.stringify(config))
  }

  /** Type checks all of them and strips the types; rejects with what the compiler says. */
  async compile() {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    for (const name of Object.keys(configs)) {
      await runFile(process.execPath, [tsc, '-p', join(this.#folder, name)], { cwd: root }).catch(error => {
        throw new Error(`The examples do not type check:\n${this.#withNames(String(error.stdout))}`)
      })
    }
  }

  /**
   * Runs one in a process of its own, which must end by itself.
   * @param {Example} example
   * @returns {Promise<string>} what it printed
   */
  async run(example) {
    // Plain JavaScript runs as it stands.
    const file =
      example.language === 'js' ? this.#sourceOf(example) : join(this.#folder, 'dist', `${fileName(example)}.mjs`)
    // Whatever the shell has for programs like these is not for them.
    const { REDIS_URL: _, ...env } = process.env
    const { stdout } = await runFile(process.execPath, [file], { cwd: root, env, timeout: RUN_MS_MAX })
    return stdout
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** @param {Example} example */
  #sourceOf(example) {
    return join(this.#folder, 'src', `${fileName(example)}.${example.language === 'js' ? 'mjs' : 'mts'}`)
  }

  /** @param {string} said */
  #withNames(said) {
    let text = said
    for (const example of this.#examples) text = text.replaceAll(fileName(example), example.name)
    return text
  }
}

/** @param {Example} example */
function fileName({ name }) {
  return name.replace(/[^A-Za-z0-9]+/g, '-')
}

const common = {
  composite: false,
  declaration: false,
  declarationMap: false,
  isolatedDeclarations: false,
  importHelpers: false,
  sourceMap: false,
  inlineSources: false,
  // Examples are for reading: a parameter has no annotation where its use says enough.
  noImplicitAny: false,
  noUnusedLocals: false,
  noUnusedParameters: false,
}

const configs = {
  'tsconfig.json': {
    extends: '../../tsconfig.base.json',
    compilerOptions: { ...common, rootDir: 'src', outDir: 'dist' },
    include: ['src/*.mts'],
  },
  // What is looked for in plain JavaScript: names and options that do not exist.
  'tsconfig.plain.json': {
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      ...common,
      strict: false,
      exactOptionalPropertyTypes: false,
      allowJs: true,
      checkJs: true,
      noEmit: true,
    },
    include: ['src/*.mjs'],
  },
}
