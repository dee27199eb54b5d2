// What StrykerJS leaves as it is: values of properties, constants and tables of modules, and statements that only act. Each of
// them is found in the syntax tree and changed by itself.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Expression, type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import { API, type Checker, TypeFlags } from 'typescript/unstable/sync'

export type MutantKind = 'constant' | 'row' | 'property' | 'call' | 'assignment'

export interface ValueMutant {
  readonly kind: MutantKind
  /** From the root of the repository. */
  readonly file: string
  readonly line: number
  /** The characters of the file that are replaced, the second not included. */
  readonly from: number
  readonly to: number
  readonly instead: string
  readonly original: string
}

const NUMBER = TypeFlags.Number | TypeFlags.NumberLiteral
const BOOLEAN = TypeFlags.Boolean | TypeFlags.BooleanLiteral
const STRING = TypeFlags.String | TypeFlags.StringLiteral

/** Lists the mutants of all files below the folders, in the order of the program. */
export function listValueMutants(root: string, folders: readonly string[]): ValueMutant[] {
  const api = new API({ cwd: root })
  try {
    const project = api
      .updateSnapshot({ openProject: join(root, 'tsconfig.json') })
      .getProjects()[0]
    if (project === undefined) throw new Error('No project')
    const within = folders.map((folder) => join(root, folder, '/'))
    return project.program
      .getSourceFileNames()
      .filter((name) => within.some((folder) => name.startsWith(folder)))
      .flatMap((name) => {
        const source = project.program.getSourceFile(name)
        return source === undefined
          ? []
          : mutantsOf(source, name.slice(root.length + 1), project.checker)
      })
  } finally {
    api.close()
  }
}

/** Puts them in an order that a seed decides. A change of the source elsewhere does not move them. */
export function shuffle(mutants: readonly ValueMutant[], seed: number): ValueMutant[] {
  const seen = new Map<string, number>()
  const keyed = mutants.map((mutant) => {
    const what = `${mutant.file} ${mutant.kind} ${mutant.original}`
    const times = seen.get(what) ?? 0
    seen.set(what, times + 1)
    return { mutant, key: createHash('sha256').update(`${seed} ${times} ${what}`).digest('hex') }
  })
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ mutant }) => mutant)
}

function mutantsOf(source: SourceFile, file: string, checker: Checker): ValueMutant[] {
  const found: ValueMutant[] = []
  const add = (kind: MutantKind, node: Node, instead: string) => {
    const from = node.getStart(source)
    const line = source.text.slice(0, from).split('\n').length
    const original = source.text.slice(from, node.end)
    if (original !== instead)
      found.push({ kind, file, line, from, to: node.end, instead, original })
  }
  const otherValue = (value: Node) => {
    const text = value.getText(source)
    const flags = checker.getTypeAtLocation(value)?.flags ?? 0
    if (flags & NUMBER) return `(2 * (${text}) + 1)`
    return flags & BOOLEAN ? `!(${text})` : 'undefined'
  }
  const addConstant = (value: Expression) => {
    const text = value.getText(source)
    const flags = checker.getTypeAtLocation(value)?.flags ?? 0
    if (flags & NUMBER) add('constant', value, text === '0' ? '1' : `2 * (${text})`)
    else if (flags & STRING) add('constant', value, `(${text} + '~')`)
  }
  const visit = (node: Node, isModule: boolean): void => {
    if (is.isPropertyAssignment(node))
      add('property', node.initializer, otherValue(node.initializer))
    else if (is.isShorthandPropertyAssignment(node)) {
      add('property', node, `${node.getText(source)}: ${otherValue(node.name)}`)
    } else if (is.isVariableStatement(node) && isModule) {
      for (const { initializer } of node.declarationList.declarations) {
        if (initializer !== undefined) addConstant(initializer)
      }
    } else if (is.isArrayLiteralExpression(node) && isModule) addRows(node.elements)
    else if (is.isCaseClause(node) && node.statements.length === 0) add('row', node, '')
    else if (is.isExpressionStatement(node)) {
      const { expression } = node
      const acts = is.isAwaitExpression(expression) ? expression.expression : expression
      if (is.isCallExpression(acts) && acts.expression.kind !== SyntaxKind.SuperKeyword) {
        add('call', node, ';')
      } else if (
        is.isBinaryExpression(acts) &&
        acts.operatorToken.kind === SyntaxKind.EqualsToken
      ) {
        add('assignment', node, ';')
      }
    }
    const inside = isModule && !isBody(node)
    node.forEachChild((child) => visit(child, inside))
  }
  const addRows = (elements: readonly Expression[]) => {
    // Without the comma behind it an element would leave a hole.
    for (const element of elements) add('row', element, '...[]')
  }
  visit(source, true)
  return found
}

/** Whether what stands inside runs later or elsewhere than the module itself. */
function isBody(node: Node): boolean {
  return (
    is.isFunctionDeclaration(node) ||
    is.isFunctionExpression(node) ||
    is.isArrowFunction(node) ||
    is.isClassDeclaration(node) ||
    is.isMethodDeclaration(node) ||
    is.isTypeNode(node)
  )
}
