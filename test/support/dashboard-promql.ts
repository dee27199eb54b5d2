// As much of PromQL as is needed to say which series a query asks for: text -> its selectors and the labels it groups by. The
// whole grammar is checked by asking a real server.

export interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

export interface Selector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
  /** As written: `$__rate_interval`. */
  readonly range: string | undefined
  /** The function or aggregation around it, the innermost. */
  readonly call: string | undefined
}

export interface Query {
  readonly selectors: readonly Selector[]
  /** Of by, without, on, ignoring, group_left and group_right. */
  readonly labels: readonly string[]
  /** Made by label_replace() and label_join(). */
  readonly madeLabels: readonly string[]
}

const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan'])
const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|\$\w+|\d+(?:\.\d+)?(?:e[-+]?\d+|[smhdwy])?|[a-zA-Z_:][\w:]*|=~|!~|!=|>=|<=|==|[-+*/%^=<>(){}[\],@]/gy

export function parseQuery(text: string): Query {
  const tokens = tokenize(text)
  const selectors: Selector[] = []
  const labels: string[] = []
  const madeLabels: string[] = []
  const calls: string[] = []
  let at = 0

  const peek = (offset = 0) => tokens[at + offset]
  function take(wanted?: string): string {
    const token = tokens[at++]
    if (token === undefined || (wanted !== undefined && token !== wanted)) {
      throw new Error(`Expected ${wanted ?? 'more'} and not ${token} in ${JSON.stringify(text)}`)
    }
    return token
  }
  function takeLabels(): void {
    take('(')
    while (peek() !== ')')
      if (peek() === ',') take()
      else labels.push(take())
    take(')')
  }
  function takeMatchers(): Matcher[] {
    const matchers: Matcher[] = []
    if (peek() !== '{') return matchers
    take('{')
    while (peek() !== '}') {
      if (peek() === ',') take()
      const [label, operator, value] = [take(), take(), take()]
      matchers.push({ label, operator, value: value.slice(1, -1) })
    }
    take('}')
    return matchers
  }
  function takeRange(): string | undefined {
    if (peek() !== '[') return undefined
    take('[')
    const range = take()
    take(']')
    return range
  }
  function takeName(name: string): void {
    if (GROUPING.has(name)) {
      if (peek() === '(') takeLabels()
      return
    }
    if (WORDS.has(name)) return
    // `sum (...)`, `sum by (...) (...)`: a call. `@ end()`: a call as well, of nothing.
    if (peek() === '(') {
      take('(')
      calls.push(name)
      return
    }
    if (GROUPING.has(peek() ?? '')) {
      take()
      takeLabels()
      take('(')
      calls.push(name)
      return
    }
    const matchers = takeMatchers()
    selectors.push({ metric: name, matchers, range: takeRange(), call: calls.at(-1) })
  }

  while (at < tokens.length) {
    const token = take()
    if (/^[a-zA-Z_:]/.test(token)) takeName(token)
    else if (token === '(') calls.push(calls.at(-1) ?? '')
    else if (token === ')') {
      if (calls.pop() === undefined) throw new Error(`One ) too many in ${JSON.stringify(text)}`)
    } else if (token === '{' || token === '[') {
      throw new Error(`A selector without a name in ${JSON.stringify(text)}`)
    } else if (token.startsWith('"') && /^label_(replace|join)$/.test(calls.at(-1) ?? '')) {
      // The first text among the arguments is the label that is made.
      const isFirst = peek(-2) === ',' && !tokens[at - 3]?.startsWith('"')
      if (isFirst) madeLabels.push(token.slice(1, -1))
    }
  }
  if (calls.length > 0) throw new Error(`One ) is missing in ${JSON.stringify(text)}`)
  return { selectors, labels, madeLabels }
}

function tokenize(text: string): readonly string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const start = TOKEN.lastIndex
    const found = TOKEN.exec(text)?.[0]
    if (found === undefined) throw new Error(`Cannot read ${JSON.stringify(text.slice(start))}`)
    if (found.trim() !== '') tokens.push(found)
  }
  return tokens
}
