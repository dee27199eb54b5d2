// A pool that is not well, as lines for a terminal: PoolDiagnosis -> text. Pure.

import type { PoolDiagnosis } from '../diagnosis/pool-diagnosis.ts'
import { renderVisible } from '../diagnosis/words.ts'
import { paint, paragraphWidth, renderLabelled, type Terminal, wrap } from './text.ts'

/** The verdict in a word, for the start of a line. */
export const verdictWords: Readonly<Record<PoolDiagnosis['verdict'], string>> = {
  ok: 'failing at times',
  watch: 'nearly full',
  at_risk: 'at risk',
  exhausted: 'exhausted',
}

/** Headline, when, cause and remedies; the commands stand on lines of their own and in full. */
export function renderPoolDiagnosis(one: PoolDiagnosis, terminal: Terminal): string[] {
  const head = `${verdictWords[one.verdict]}: ${one.netns}: ${one.headline}`
  const [first = '', ...rest] = wrap(renderVisible(head), paragraphWidth(terminal))
  const word = verdictWords[one.verdict]
  return [
    paint(word, one.severity, terminal) + first.slice(word.length),
    ...rest.map((line) => `  ${line}`),
    ...(one.when === undefined ? [] : renderLabelled('  when: ', one.when, terminal)),
    ...renderLabelled(
      '  why:  ',
      [one.because && `${one.because}.`, one.explanation].filter(Boolean).join(' '),
      terminal,
    ),
    ...one.remedies.flatMap(({ advice, buys, check, command, missing, podSpec }, at) => [
      ...renderLabelled(
        at === 0 ? '  do:   ' : '  or:   ',
        [`${advice} It ${buys}.`, missing].filter(Boolean).join(' '),
        terminal,
      ),
      ...(check === undefined ? [] : [`        ${check} # lists them`]),
      ...(command === undefined ? [] : [`        ${command}`]),
      ...(podSpec === undefined
        ? []
        : [
            '        in the spec of the pod:',
            ...podSpec.split('\n').map((line) => `          ${line}`),
          ]),
    ]),
  ]
}
